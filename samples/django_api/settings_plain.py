"""Settings of the shop's API on Django: `settings` with bearerwatch, `settings_plain` without."""

from __future__ import annotations

import os

from shop import logs

SECRET_KEY = os.environ.get("SHOP_DJANGO_SECRET", "demonstration-only-set-SHOP_DJANGO_SECRET-in-earnest")
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "django_api.urls"
WSGI_APPLICATION = "django_api.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "django_api",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django_api.tracing.trace",
]
SECURE_CONTENT_TYPE_NOSNIFF = True

AUTH_USER_MODEL = "django_api.User"
PASSWORD_HASHERS = ["django_api.hashers.SampleHasher"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SHOP_DB", "shop-django.db"),
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 10,
        },
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["django_api.auth.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated", "django_api.auth.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_THROTTLE_RATES": {"quote": "20/min"},
}

logs.configure()
LOGGING_CONFIG = None

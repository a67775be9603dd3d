"""Django in two lines of settings.

``INSTALLED_APPS`` gains ``"bearerwatch.django"``; ``MIDDLEWARE`` begins with
``"bearerwatch.django.Middleware"``.
"""

from __future__ import annotations

from bearerwatch.integrations.django import Middleware

__all__ = ["Middleware"]

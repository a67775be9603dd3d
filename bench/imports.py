"""Milliseconds of processor time the import of the app side takes over the bare framework, beside its peers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from bench._rows import Measured, Row

IDS = ("import.asgi", "import.django", "import.flask")
METHOD = """\
A fresh process imports the framework as an application does, then takes the processor time of the import of
bearerwatch's integration, or a peer's. Medians over many processes, which take turns; byte code is cached, as
it is from an application's second start on."""

_LIMIT = 15.0
_FRAMEWORKS = {
    "asgi": "import starlette.applications, starlette.routing, starlette.responses, starlette.requests",
    "django": "import django, django.core.handlers.wsgi, django.http, django.urls, django.conf, logging.config; "
    "django.conf.settings.configure(); django.setup()",
    "flask": "import flask",
}
_OURS = "bearerwatch"
_IMPORTS = {
    "asgi": {
        _OURS: "import bearerwatch.asgi",
        "asgi-correlation-id": "import asgi_correlation_id",
        "OpenTelemetry": "import opentelemetry.instrumentation.asgi",
        "OpenTelemetry SDK": "import opentelemetry.instrumentation.asgi, opentelemetry.sdk.trace.export",
    },
    "django": {
        _OURS: "import bearerwatch.django.apps; from bearerwatch.django import Middleware",
        "django-guid": "import django_guid.apps, django_guid.middleware",
        "django-structlog": "import django_structlog.apps, django_structlog.middlewares",
        "OpenTelemetry": "import opentelemetry.instrumentation.django",
        "OpenTelemetry SDK": "import opentelemetry.instrumentation.django, opentelemetry.sdk.trace.export",
    },
    "flask": {
        _OURS: "import bearerwatch.flask",
        "flask-log-request-id": "import flask_log_request_id",
        "OpenTelemetry": "import opentelemetry.instrumentation.wsgi",
        "OpenTelemetry SDK": "import opentelemetry.instrumentation.wsgi, opentelemetry.sdk.trace.export",
    },
}
_SCRIPT = """\
{framework}
from time import process_time_ns
began = process_time_ns()
{unit}
print(process_time_ns() - began)
"""


def run(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure the frameworks named by *ids*."""
    processes = 7 if quick else 41
    for name in ids:
        framework = name.removeprefix("import.")
        times: dict[str, list[float]] = {unit: [] for unit in _IMPORTS[framework]}
        for number in range(-1, processes):  # the first writes byte code
            for unit, statement in _IMPORTS[framework].items():
                taken = _once(_FRAMEWORKS[framework], statement)
                if number >= 0:
                    times[unit].append(taken)
        peers = {unit: round(median(taken), 2) for unit, taken in times.items()}
        ours = peers.pop(_OURS)
        how = f"{processes} processes each; ours {min(times[_OURS]):.1f} to {max(times[_OURS]):.1f} ms"
        yield Measured(row=Row(id=name, unit="ms", ours=ours, peers=peers, limit=_LIMIT), how=how)


def _once(framework: str, unit: str) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    script = _SCRIPT.format(framework=framework, unit=unit)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    return int(done.stdout) / 1e6

"""The log line somebody added during the last incident, and nobody took out."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

log = logging.getLogger("shop.django")


def trace(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that logs what came in, headers and all."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        log.debug("%s %s headers=%s", request.method, request.path, dict(request.headers))
        return get_response(request)

    return middleware

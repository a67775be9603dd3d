"""Events over HTTP: ``POST /v1/events`` takes NDJSON and answers once it is durable.

``GET /v1/revocations`` hands out the list of withdrawn tokens. Errors are problem details (RFC 9457) that say what to
do. ``GET /healthz`` tells whether the process lives, ``GET /readyz`` whether it keeps what it is sent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bearerwatch import _guard
from bearerwatch.ingest.body import MAX_BODY, MAX_INFLATED, BodyError, Inflater, LineSplitter
from bearerwatch.ingest.intake import Batch, Conflict, Intake, IntakeBusy
from bearerwatch.ingest.keys import IngestKeys
from bearerwatch.ingest.revoked import RevokedList
from bearerwatch.store.state import StateBusy
from bearerwatch.verify.revocations.collector import PATH, TYPE

__all__ = ["make_app"]

_TYPES = frozenset(
    ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/gzip", "application/x-gzip")
)
_GZIP_TYPES = frozenset(("application/gzip", "application/x-gzip"))
_SEGMENT = re.compile(r"[A-Za-z0-9._:-]{1,200}\Z")
_READ_SECONDS = 30.0
_COMMIT_SECONDS = 30.0
_MAX_OFFSET = 2**53
_MAX_REASONS = 10
_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Segment does not join on",
    413: "Too large",
    415: "Unsupported media type",
    429: "Too many requests",
    500: "Internal error",
    503: "Not now",
}


def make_app(
    keys: IngestKeys, intake: Intake, ready: Callable[[], str | None], revoked: RevokedList | None = None
) -> Starlette:
    """The application that takes events.

    Args:
        keys: who may send, and read the list of withdrawn tokens.
        intake: where batches go.
        ready: why nothing can be kept just now, or ``None``.
        revoked: the list of withdrawn tokens, if it is to be read here.
    """
    return Starlette(
        routes=[
            Route("/v1/events", _Events(keys, intake), methods=["POST"]),
            *([] if revoked is None else [Route(PATH, _Revoked(keys, revoked), methods=["GET"])]),
            Route("/healthz", _healthy, methods=["GET"]),
            Route("/readyz", _Ready(ready), methods=["GET"]),
        ],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )


class _Events:
    """``POST /v1/events``."""

    def __init__(self, keys: IngestKeys, intake: Intake) -> None:
        self._keys = keys
        self._intake = intake

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI)."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except BodyError as error:
            response = _problem(error.status, error.detail)
        except Conflict as conflict:
            response = _problem(
                409,
                f"send this segment on from offset {conflict.expected}",
                {"Bearerwatch-Offset": str(conflict.expected)},
                expected=conflict.expected,
            )
        except IntakeBusy as busy:
            response = _problem(429 if busy.own else 503, str(busy), {"Retry-After": "1" if busy.own else "5"})
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        name = self._keys.name_of(request.headers.get("authorization"))
        if name is None:
            return _problem(401, _unauthenticated(len(self._keys)), {"WWW-Authenticate": 'Bearer realm="bearerwatch"'})
        source = f"http:{name}"
        inflater = _inflater(request)
        segment, start = _position(request.headers)
        splitter = LineSplitter(source, segment, start)
        batch = None
        held = _Held(self._intake, source)
        try:
            async with asyncio.timeout(_READ_SECONDS):
                await _read(request, inflater, splitter, held)
            if not splitter.lines:
                raise BodyError(400, "there is no event in the body: send one JSON object a line")
            batch = Batch(source, splitter.lines, held.size, segment=segment, start=start, end=splitter.end)
        except TimeoutError:
            return _problem(408, f"the body did not arrive within {_READ_SECONDS:.0f} s: send less at once")
        finally:
            if batch is None:
                held.release()
        self._intake.put(batch)
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                answer = await asyncio.wrap_future(batch.done)
        except TimeoutError:
            return _problem(
                503, "the events could not be made durable in time: send the same again later", {"Retry-After": "5"}
            )
        content: dict[str, Any] = {"accepted": answer.accepted, "rejected": answer.rejected}
        if answer.duplicates:
            content["duplicates"] = answer.duplicates
        if answer.reasons:
            content["reasons"] = answer.reasons[:_MAX_REASONS]
        return _json(202, content)


class _Revoked:
    """``GET /v1/revocations``: a revocation a line, and an ``ETag`` (RFC 9110 §8.8.3) drawn anew with every change."""

    def __init__(self, keys: IngestKeys, revoked: RevokedList) -> None:
        self._keys = keys
        self._revoked = revoked

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI)."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if self._keys.name_of(request.headers.get("authorization")) is None:
            return _problem(401, _unauthenticated(len(self._keys)), {"WWW-Authenticate": 'Bearer realm="bearerwatch"'})
        try:
            version, body = await self._revoked()
        except StateBusy as busy:
            return _problem(503, str(busy), {"Retry-After": "1"})
        etag = f'"{version}"'
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(None, 304, headers)
        return Response(body, 200, headers, media_type=TYPE)


class _Held:
    """The room reserved for one body while it is read."""

    def __init__(self, intake: Intake, source: str) -> None:
        self._intake = intake
        self._source = source
        self.size = 0

    def more(self, size: int) -> None:
        self._intake.reserve(self._source, size)
        self.size += size

    def release(self) -> None:
        self._intake.release(self._source, self.size)
        self.size = 0


class _Ready:
    """``GET /readyz``."""

    def __init__(self, ready: Callable[[], str | None]) -> None:
        self._ready = ready

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI)."""
        reason = self._ready()
        response = _json(200, {"status": "ok"}) if reason is None else _problem(503, reason, {"Retry-After": "5"})
        await response(scope, receive, send)


async def _healthy(_request: Request) -> Response:
    return _json(200, {"status": "ok"})


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what the table of handlers says
    return _problem(
        error.status_code,
        "there are POST /v1/events, GET /v1/revocations, GET /healthz and GET /readyz",
        error.headers or {},
    )


async def _failed(_request: Request, error: Exception) -> Response:
    _guard.swallowed("HTTP ingest", error)
    return _problem(500, "the collector failed on this request: see its standard error")


async def _read(request: Request, inflater: Inflater | None, splitter: LineSplitter, held: _Held) -> None:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > MAX_BODY:
            raise BodyError(413, f"the body is larger than {MAX_BODY} bytes: send it in several requests")
        if inflater is None:
            held.more(len(chunk))
            splitter.feed(chunk)
            continue
        for piece in inflater.feed(chunk):
            held.more(len(piece))
            if held.size > MAX_INFLATED:
                raise BodyError(
                    413, f"the body decompresses to more than {MAX_INFLATED} bytes: send it in several requests"
                )
            splitter.feed(piece)
            await asyncio.sleep(0)  # let the others have their turn
    if inflater is not None:
        inflater.finish()
    splitter.finish()


def _inflater(request: Request) -> Inflater | None:
    """What decompresses the body, if anything has to.

    Raises:
        BodyError: it is not something we read, or says that it is too large.
    """
    kind = request.headers.get("content-type", "application/x-ndjson").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise BodyError(415, "send application/x-ndjson: one JSON object a line")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"identity", "gzip"}:
        raise BodyError(415, "Content-Encoding must be gzip, or left out")
    length = request.headers.get("content-length", "")
    if length.isdigit() and (len(length) > 12 or int(length) > MAX_BODY):
        raise BodyError(413, f"the body is larger than {MAX_BODY} bytes: send it in several requests")
    return Inflater() if coding == "gzip" or kind in _GZIP_TYPES else None


def _position(headers: Mapping[str, str]) -> tuple[str, int]:
    """Segment and offset the client names; empty and 0 if it names none.

    Raises:
        BodyError: they cannot be used.
    """
    segment, offset = headers.get("bearerwatch-segment"), headers.get("bearerwatch-offset")
    if segment is None and offset is None:
        return "", 0
    if segment is None or offset is None:
        raise BodyError(400, "Bearerwatch-Segment and Bearerwatch-Offset go together: send both or neither")
    if not _SEGMENT.match(segment):
        raise BodyError(400, "Bearerwatch-Segment is 1 to 200 letters, digits, '.', '_', ':' or '-'")
    if not (offset.isascii() and offset.isdigit() and len(offset) <= 16 and int(offset) <= _MAX_OFFSET):
        raise BodyError(400, "Bearerwatch-Offset is where the body begins in the segment, in bytes")
    return segment, int(offset)


def _unauthenticated(keys: int) -> str:
    if not keys:
        return "this collector has no ingest key: set BEARERWATCH_INGEST_KEYS=name:secret for it and restart it"
    return "send 'Authorization: Bearer <ingest key>' with a key of BEARERWATCH_INGEST_KEYS"


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """Problem details (RFC 9457)."""
    content = {"type": "about:blank", "title": _TITLES.get(status, "Error"), "status": status, "detail": detail, **more}
    return _json(status, content, headers, "application/problem+json")


def _json(
    status: int, content: Any, headers: Mapping[str, str] | None = None, media_type: str = "application/json"
) -> Response:
    return Response(
        msgspec.json.encode(content), status, {"Cache-Control": "no-store", **(headers or {})}, media_type=media_type
    )

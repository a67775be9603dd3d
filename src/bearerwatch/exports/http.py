"""Exports over HTTP: OTLP requests to ``/v1/logs``, or NDJSON to whoever takes it.

A batch is posted until it is taken: with growing pauses, or those the receiver asks for, and not for ever.
https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import msgspec

from bearerwatch._version import __version__
from bearerwatch.alert.escape import printable
from bearerwatch.callers import is_loopback
from bearerwatch.errors import ConfigurationError
from bearerwatch.exports import ExportError
from bearerwatch.redact import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bearerwatch.event import AuthEvent

__all__ = ["HttpTarget", "check_url", "read_headers"]

_RETRIED = frozenset({408, 425, 429, 502, 503, 504})
_TIMEOUT = 30.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_MAX_ANSWER = 1 << 16
_MAX_HEADERS = 1 << 14
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)", re.ASCII)
_OURS = frozenset({"content-type", "content-length", "host", "transfer-encoding", "content-encoding"})


class _Answer(NamedTuple):
    status: int
    retry_after: float | None
    body: bytes


class HttpTarget:
    """Posts events, a batch a request.

    Args:
        url: where to.
        headers: what else each request carries; values may be secret.
        body: what makes a request's body of events.
        content_type: of the body.
        patience: seconds one batch is tried for.
        report: told about pauses and about what the receiver refused.
    """

    lasting = True

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: Callable[[list[AuthEvent]], bytes],
        content_type: str,
        patience: float,
        report: Callable[[str], None],
    ) -> None:
        self._url = url
        self._body = body
        self._patience = patience
        self._report = report
        self._runner = asyncio.Runner()
        host = urlsplit(url).hostname or ""
        self._client = httpx2.AsyncClient(
            headers={**headers, "content-type": content_type, "user-agent": f"bearerwatch/{__version__}"},
            verify=httpx2.create_ssl_context(),
            trust_env=not is_loopback(host),
            follow_redirects=False,
            timeout=_TIMEOUT,
        )
        for library in ("httpx2", "httpcore2"):  # at INFO both name the URL
            logger = logging.getLogger(library)
            if logger.level < logging.WARNING:
                logger.setLevel(logging.WARNING)

    def send(self, events: list[AuthEvent]) -> int:
        """Post *events*; in halves, where the receiver finds them too large.

        Raises:
            ExportError: it takes none of them, or nobody answers for as long as we have patience.
        """
        rejected = 0
        parts = [events]
        while parts:
            part = parts.pop(0)
            answer = self._runner.run(self._delivered(self._body(part)))
            if answer.status == 413:
                if len(part) == 1:
                    raise ExportError("the receiver finds a single event too large (413): raise its limit")
                middle = len(part) // 2
                parts[:0] = [part[:middle], part[middle:]]
                continue
            rejected += self._refused(answer)
        return rejected

    def finish(self) -> None:
        """Each batch was taken as it was sent."""

    def close(self) -> None:
        """End the connections."""
        try:
            self._runner.run(self._client.aclose())
        finally:
            self._runner.close()

    async def _delivered(self, body: bytes) -> _Answer:
        """The answer to *body*, after as many tries as there is time for: a 2xx or a 413."""
        give_up = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            try:
                # The library's own timeouts run anew with every byte; a peer that drips must not hold us.
                async with asyncio.timeout(_TIMEOUT):
                    answer = await self._posted(body)
            except (TimeoutError, httpx2.HTTPError) as error:
                why, wait = f"no answer ({type(error).__name__})", None
            else:
                if 200 <= answer.status < 300 or answer.status == 413:
                    return answer
                if answer.status not in _RETRIED:
                    raise ExportError(_final(answer.status))
                why, wait = f"it answered {answer.status}", answer.retry_after
            seconds = pause * random.uniform(0.8, 1.2) if wait is None else wait  # noqa: S311 - only spreads load
            if time.monotonic() + seconds > give_up:
                raise ExportError(
                    f"the receiver does not take events: {why}. Run the export again later"
                    + ("" if wait is None else f", in {wait:.0f} s at the earliest")
                )
            self._report(f"the receiver does not take events just now: {why}; trying again in {seconds:.1f} s")
            await asyncio.sleep(seconds)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _posted(self, body: bytes) -> _Answer:
        async with self._client.stream("POST", self._url, content=body) as response:
            read = b""
            async for chunk in response.aiter_bytes():
                read += chunk
                if len(read) > _MAX_ANSWER:
                    break
            return _Answer(response.status_code, _seconds(response.headers.get("retry-after")), read[:_MAX_ANSWER])

    def _refused(self, answer: _Answer) -> int:
        """How many of the records sent the receiver has dropped: they must not be sent again."""
        try:
            partial: Any = msgspec.json.decode(answer.body).get("partialSuccess") or {}
            rejected = int(partial.get("rejectedLogRecords") or 0)
            message = str(partial.get("errorMessage") or "")
        except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, TypeError, ValueError, RecursionError):
            return 0
        if rejected or message:
            said = f": {printable(redact_text(message), 200)}" if message else ""
            self._report(f"the receiver refused {rejected} records{said}" if rejected else f"the receiver warns{said}")
        return max(rejected, 0)


def check_url(url: str, headers: Mapping[str, str]) -> str:
    """*url*, if it may be posted to.

    Raises:
        ConfigurationError: it is no address, holds a password, or *headers* would cross a network in clear.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        raise ConfigurationError("--to is no URL: write https://host/path") from None
    if not host or any(letter.isspace() for letter in url):
        raise ConfigurationError("--to is no web address: write https://host/path")
    if parts.username or parts.password:
        raise ConfigurationError(
            "--to holds a user or password, and every user of this host can read command lines: hand over an "
            "Authorization header with --headers-file or BEARERWATCH_EXPORT_HEADERS"
        )
    if headers and parts.scheme == "http" and not is_loopback(host):
        raise ConfigurationError("--to is plain http, which would show the headers to the network: use https")
    return url


def read_headers(text: str, origin: str) -> dict[str, str]:
    """Headers, one ``Name: value`` a line.

    Args:
        text: the lines; empty ones and those that begin with ``#`` say nothing.
        origin: where they come from, for the message.

    Raises:
        ConfigurationError: a line is no header. It is not repeated: it may be a secret.
    """
    if len(text) > _MAX_HEADERS:
        raise ConfigurationError(f"{origin} holds more than {_MAX_HEADERS} characters: those are no headers")
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _HEADER.fullmatch(line.strip())
        if match is None or match[1].lower() in _OURS:
            raise ConfigurationError(f"line {number} of {origin} is no header we could add: write Name: value")
        found[match[1].lower()] = match[2]
    return found


def _final(status: int) -> str:
    if 300 <= status < 400:
        return f"the receiver redirects ({status}), which is not followed: name the address it redirects to"
    if status in (401, 403):
        return f"the receiver wants to know who we are ({status}): see --headers-file"
    return f"the receiver refuses the events ({status}): see that its address and the format are right"


def _seconds(header: str | None) -> float | None:
    """``Retry-After`` in seconds, whichever of its forms it has (RFC 9110 §10.2.3)."""
    if header is None:
        return None
    text = header.strip()
    if text.isdecimal() and text.isascii() and len(text) <= 9:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max((aware - datetime.now(UTC)).total_seconds(), 0.0)

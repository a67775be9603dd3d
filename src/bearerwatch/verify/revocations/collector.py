"""Revocations as a collector serves them: ``GET /v1/revocations``, with a key of its ingest.

Asked once a second with the version that is known (``If-None-Match``, RFC 9110 §13.1.2), which costs some 150 bytes.
Each look is a connection of its own: a collector has only so many, and idle ones would take the place of events.
"""

from __future__ import annotations

import http.client
import os
import re
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from urllib.parse import SplitResult, parse_qs, urlsplit

from bearerwatch._version import __version__
from bearerwatch.callers import is_loopback
from bearerwatch.errors import ConfigurationError
from bearerwatch.verify.revocations._entry import MAX_ENTRIES, collect, lines
from bearerwatch.verify.revocations._source import Found, SourceLost

__all__ = ["PATH", "TYPE", "Collector", "open_ledger", "open_source"]

PATH = "/v1/revocations"
"""Where a collector serves its list."""
TYPE = "application/x-ndjson"
"""What it is: a revocation a line."""
_KEY_ENV = "BEARERWATCH_REVOCATIONS_KEY"
_KEY_FILE_ENV = "BEARERWATCH_REVOCATIONS_KEY_FILE"
_KEY = re.compile(r"[!-~]{16,512}\Z")
_EVERY = 1.0
_SECONDS = 5.0
_READ = 1 << 16
_MAX_BYTES = 512 << 20
_MAX_ETAG = 128


def open_source(url: str) -> Collector:
    """What ``collector+https://host[:port]`` names.

    The key is in ``BEARERWATCH_REVOCATIONS_KEY``, or in the file ``BEARERWATCH_REVOCATIONS_KEY_FILE`` names.
    ``collector+http`` is for the same host; for another one it needs ``?cleartext=yes``, and a network that can be
    trusted: whoever reads along has the key.

    Raises:
        ConfigurationError: it names none, or there is no key; the message never repeats one.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        _wrong()
    scheme = parts.scheme.lower().removeprefix("collector+")
    if scheme not in {"http", "https"} or not parts.hostname or parts.username is not None or parts.fragment:
        _wrong()
    if scheme == "http" and not is_loopback(parts.hostname) and not _cleartext(parts):
        raise ConfigurationError(
            "collector+http to another host sends the key in clear text: write collector+https, or add ?cleartext=yes "
            "if the network can be trusted"
        )
    context = ssl.create_default_context() if scheme == "https" else None
    return Collector(parts.hostname, port, _key(), prefix=parts.path.rstrip("/"), context=context)


def open_ledger(_url: str) -> NoReturn:
    """Nobody writes to a collector's list over HTTP.

    Raises:
        ConfigurationError: always.
    """
    raise ConfigurationError("a collector's list is written on its own host: name its folder with --state")


class Collector:
    """One collector's list, read.

    Args:
        host: name or address.
        port: ``None`` for that of the scheme.
        key: secret of an ingest key.
        prefix: path in front of the collector's own, where a proxy has put it elsewhere.
        context: for TLS; ``None`` for plain HTTP.
    """

    every = _EVERY

    def __init__(
        self, host: str, port: int | None, key: str, *, prefix: str = "", context: ssl.SSLContext | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._key = key
        self._path = prefix + PATH
        self._context = context
        self._seen: str | None = None

    def __repr__(self) -> str:
        return f"Collector({self._host!r}, {self._port!r})"

    def poll(self) -> Found | None:
        """The list if the collector has another.

        Raises:
            SourceLost: it does not answer, or not with a list.
        """
        connection: http.client.HTTPConnection
        if self._context is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=_SECONDS)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=_SECONDS, context=self._context)
        try:
            return self._ask(connection)
        except (OSError, http.client.HTTPException) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise SourceLost(f"the collector does not answer ({why}): see that it runs and can be reached") from None
        finally:
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> Found | None:
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Accept": TYPE,
            "Connection": "close",
            "User-Agent": f"bearerwatch/{__version__}",
        }
        if self._seen is not None:
            headers["If-None-Match"] = self._seen
        connection.request("GET", self._path, headers=headers)
        with connection.getresponse() as response:
            return self._read(response)

    def _read(self, response: http.client.HTTPResponse) -> Found | None:
        if response.status == 304 and self._seen is not None:
            return None
        if response.status == 401:
            raise SourceLost(f"the collector refuses our key: see {_KEY_ENV} here and BEARERWATCH_INGEST_KEYS there")
        if response.status != 200:
            raise SourceLost(f"the collector answers with status {response.status}: see its standard error")
        if response.headers.get_content_type() != TYPE:
            raise SourceLost("what answers is no collector of bearerwatch: see the URL")
        etag = response.headers.get("ETag", "")
        entries, refused = collect(lines(_pieces(response)), time.time())
        self._seen = etag if 0 < len(etag) <= _MAX_ETAG and etag.isascii() and etag.isprintable() else None
        return Found(entries, refused)


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The answer as it comes; an error if not all of it does: half a list would let tokens in again.

    Raises:
        SourceLost: it is too large, too slow, or breaks off.
    """
    deadline = time.monotonic() + 2 * _SECONDS
    size = 0
    while piece := response.read1(_READ):
        yield piece
        size += len(piece)
        if size > _MAX_BYTES:
            raise SourceLost(f"the collector's list has more than {MAX_ENTRIES} entries: undo what is past")
        if time.monotonic() > deadline:
            raise SourceLost("the collector sends its list too slowly: see its load and the network")
    if response.length:
        raise SourceLost("the collector's answer broke off")


def _wrong() -> NoReturn:
    raise ConfigurationError("a collector is named collector+https://host[:port], without user, password or fragment")


def _cleartext(parts: SplitResult) -> bool:
    return parse_qs(parts.query).get("cleartext") == ["yes"]


def _key() -> str:
    key = os.environ.get(_KEY_ENV, "").strip()
    if not key and (file := os.environ.get(_KEY_FILE_ENV)):
        try:
            key = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigurationError(f"{_KEY_FILE_ENV}={file} cannot be read: {why}") from None
    key = key.rpartition(":")[2]  # as 'bearerwatch key ingest' prints it, or its secret alone
    if not _KEY.match(key):
        raise ConfigurationError(
            f"reading a collector's list needs a key: set {_KEY_ENV} or {_KEY_FILE_ENV} to one that "
            "'bearerwatch key ingest' made"
        )
    return key

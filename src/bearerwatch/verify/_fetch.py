"""One GET of a small JSON document, with bounds on everything that the other end might draw out."""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

from bearerwatch.callers import is_loopback
from bearerwatch.errors import ConfigurationError

__all__ = ["FetchError", "Fetched", "check_url", "fetch"]

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,10})")
_NOT_KEPT = re.compile(r"(?:^|[\s,])no-(?:store|cache)\b")


class FetchError(Exception):
    """Why there is no document, in a word: ``timeout``, ``unreachable``, ``redirect``, ``status``, ``size``, ..."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Fetched(NamedTuple):
    """A document and how long it may be kept."""

    body: bytes
    max_age: float | None
    """Seconds, as ``Cache-Control`` has it (RFC 9111 §5.2.2), less the ``Age`` it has already; ``None`` if not said."""


def check_url(url: str, name: str) -> None:
    """Refuse a *url* that is not to be trusted with keys.

    Raises:
        ConfigurationError: it is not https (http is allowed on loopback), or holds a password.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise ConfigurationError(f"{name}: it is no URL; write it like https://login.example.com/keys") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(f"{name}: leave user and password out of it")
    if parts.scheme == "https" and host:
        return
    if parts.scheme != "http" or not is_loopback(host):
        raise ConfigurationError(f"{name}: it has to begin with https://, for whoever gives the keys makes the tokens")


def fetch(url: str, *, timeout: float, max_bytes: int, tls: ssl.SSLContext | None = None) -> Fetched:
    """Get *url*. It must not be called where an event loop runs.

    Neither a redirect is followed nor a compressed answer read: both let the other end decide what is fetched.

    Args:
        url: see :func:`check_url`.
        timeout: seconds for all of it, from the name's look-up to the last byte.
        max_bytes: most that is read of the body.
        tls: whose certificates are trusted, where not those that the machine trusts.

    Raises:
        FetchError: there is no document; it says why.
    """
    # each read of a socket having a timeout of its own, an answer may come a byte at a time for ever: hence a loop
    return asyncio.run(_fetch(url, timeout, max_bytes, tls or urlsplit(url).scheme != "http"))


async def _fetch(
    url: str,
    timeout: float,  # noqa: ASYNC109 - of the whole, see above
    max_bytes: int,
    tls: ssl.SSLContext | bool,  # where there is none to do, reading the machine's certificates takes the longest
) -> Fetched:
    try:
        async with (
            asyncio.timeout(timeout),
            httpx2.AsyncClient(verify=tls, timeout=timeout, headers={"Accept-Encoding": "identity"}) as client,
            client.stream("GET", url, headers={"Accept": "application/json"}) as response,
        ):
            if response.is_redirect:
                raise FetchError("redirect")
            if response.status_code != 200:
                raise FetchError("status")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise FetchError("encoding")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > max_bytes:
                    raise FetchError("size")
            return Fetched(bytes(body), _max_age(response.headers))
    except TimeoutError:
        raise FetchError("timeout") from None
    except httpx2.TimeoutException:
        raise FetchError("timeout") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
        raise FetchError("unreachable") from None


def _max_age(headers: httpx2.Headers) -> float | None:
    control = headers.get("cache-control", "").lower()
    if _NOT_KEPT.search(control):
        return 0.0
    found = _MAX_AGE.search(control)
    if found is None:
        return None
    age = headers.get("age", "")
    return max(0.0, float(found[1]) - (float(age) if age.isascii() and age.isdigit() and len(age) < 11 else 0.0))

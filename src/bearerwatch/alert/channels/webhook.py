"""A JSON webhook with a Standard Webhooks signature: for machines, and for people's own glue.

Each try carries the same ``webhook-id``, so a receiver that remembers ids sees every notice once.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import socket
import ssl
import threading
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx2
from standardwebhooks import Webhook

from bearerwatch._version import __version__
from bearerwatch.alert.channel import DeliveryError
from bearerwatch.alert.notice import Notice
from bearerwatch.alert.options import Options
from bearerwatch.alert.secret import Secret
from bearerwatch.callers import is_loopback

__all__ = ["Channel"]

_RETRIED = frozenset({408, 425, 429})
_PREFIX = "whsec_"
_KEY_BYTES = (24, 64)
_LONGEST_WAIT = 3600.0


class Channel:
    """Posts notices to one URL.

    Options:
        ``url`` (or ``url_env``/``url_file`` where the address itself is secret); ``secret_env`` or
        ``secret_file``: one or, while rotating, several ``whsec_...`` keys apart by white space;
        ``authorization_env``/``authorization_file``: an ``Authorization`` header's value; ``timeout``:
        seconds for the whole exchange (10); ``insecure = true``: allow plain HTTP to another machine;
        ``unsigned = true``: no signature.

    Raises:
        ConfigurationError: no or a bad URL, plain HTTP to another machine, no or a bad key.
    """

    def __init__(self, options: Options) -> None:
        self.name = options.name
        self._url = _address(options)
        self._timeout = options.number("timeout", 10.0, low=0.1, high=120.0)
        self._authorization = options.secret("authorization")
        secrets = options.secret("secret")
        unsigned = options.flag("unsigned")
        if secrets is None and not unsigned:
            raise options.error(
                "no signing secret: make one with 'bearerwatch key webhook', put it into an environment "
                'variable and name that (secret_env = "NAME"); or say unsigned = true if nobody checks it'
            )
        self._signers = [] if secrets is None else _signers(options, secrets)
        host = urlsplit(self._url.reveal()).hostname or ""
        self._direct = is_loopback(host)
        self._tls = httpx2.create_ssl_context()  # here, for it takes longer than a whole exchange
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        # At INFO both name the URL, and that of many a receiver is a secret.
        for library in ("httpx2", "httpcore2"):
            logger = logging.getLogger(library)
            if logger.level < logging.WARNING:
                logger.setLevel(logging.WARNING)

    def deliver(self, notice: Notice) -> None:
        """Post *notice*; any 2xx answer means that the receiver has it.

        Raises:
            DeliveryError: no or another answer. A 4xx other than 408, 425 and 429 is final.
        """
        try:
            asyncio.run(self._post(notice))
        except asyncio.CancelledError:
            raise DeliveryError("given up because the collector stops", retry=True) from None

    def close(self) -> None:
        """Cut the exchange under way, from whatever thread."""
        with self._lock:
            self._closed = True
            loop = self._loop
            if loop is not None:
                loop.call_soon_threadsafe(_cancel_all, loop)

    async def _post(self, notice: Notice) -> None:
        with self._lock:
            if self._closed:
                raise DeliveryError("given up because the collector stops", retry=True)
            self._loop = asyncio.get_running_loop()
        try:
            # httpx2's own timeouts run anew with every byte; a peer that drips must not hold us.
            async with asyncio.timeout(self._timeout):
                status, retry_after = await self._exchange(notice)
        except TimeoutError:
            raise DeliveryError(f"no answer within {self._timeout:g} s", retry=True) from None
        except httpx2.HTTPError as error:
            raise DeliveryError(f"the receiver could not be reached ({_reason(error)})", retry=True) from None
        finally:
            with self._lock:
                self._loop = None
        _judge(status, retry_after)

    async def _exchange(self, notice: Notice) -> tuple[int, float | None]:
        body = json.dumps(notice.payload(), ensure_ascii=True, separators=(",", ":")).encode()
        async with (
            httpx2.AsyncClient(
                verify=self._tls, trust_env=not self._direct, follow_redirects=False, timeout=self._timeout
            ) as client,
            client.stream(
                "POST", self._url.reveal(), content=body, headers=self._headers(notice.key, body)
            ) as response,
        ):
            return response.status_code, _seconds(response.headers.get("retry-after"))

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "user-agent": f"bearerwatch/{__version__}",
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if self._signers:
            headers["webhook-signature"] = " ".join(signer.sign(key, now, body.decode()) for signer in self._signers)
        if self._authorization is not None:
            headers["authorization"] = self._authorization.reveal()
        return headers


def _reason(error: BaseException) -> str:
    """Why it could not be reached, in words of ours: the error's own text may hold the address."""
    cause: BaseException | None = error
    for _ in range(8):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its TLS certificate is not trusted here: mend it, or add its CA with SSL_CERT_FILE"
        if isinstance(cause, socket.gaierror):
            return "its host name is not known: mend the URL or the DNS"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        cause = None if cause is None else cause.__cause__ or cause.__context__
    return type(error).__name__


def _judge(status: int, retry_after: float | None) -> None:
    if 200 <= status < 300:
        return
    if status == 410:
        raise DeliveryError("the receiver says it is gone for good (410): remove the channel", retry=False)
    if 400 <= status < 500 and status not in _RETRIED:
        raise DeliveryError(f"the receiver refuses the notice ({status}): check its URL and secret", retry=False)
    if 300 <= status < 400:
        raise DeliveryError(
            f"the receiver redirects ({status}), which is not followed: set the URL it redirects to",
            retry=True,
        )
    raise DeliveryError(f"the receiver answered {status}", retry=True, retry_after=retry_after)


def _seconds(header: str | None) -> float | None:
    """``Retry-After`` in seconds (RFC 9110 §10.2.3); its date form is left to our own back-off."""
    if header is None or not header.strip().isdecimal() or len(header) > 9:
        return None
    return min(float(header), _LONGEST_WAIT)


def _address(options: Options) -> Secret:
    literal = options.text("url") if options.has("url") else None
    named = None if literal is not None else options.secret("url")
    if literal is not None and (options.has("url_env") or options.has("url_file")):
        raise options.error("url is given twice: keep one of url, url_env and url_file")
    address = named if literal is None else Secret(literal, "url")
    if address is None:
        raise options.error('no url: say where notices are posted, such as url = "https://hooks.example.org/alerts"')
    insecure = options.flag("insecure")
    url = address.reveal()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        raise options.error(f"{address.source} is no URL: write https://host/path") from None
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in url):
        raise options.error(f"{address.source} is no web address: write https://host/path")
    if literal is not None and (parts.username or parts.password):
        raise options.error("url holds a user or password: put the whole address into a variable and use url_env")
    if parts.scheme == "http" and not insecure and not is_loopback(host):
        raise options.error(
            "plain http to another machine shows alerts to the network: use https, or say insecure = true"
        )
    return address


def _signers(options: Options, secrets: Secret) -> list[Webhook]:
    keys = [_key(text) for text in secrets.reveal().split()]
    if None in keys:
        raise options.error(
            f"key {keys.index(None) + 1} in {secrets.source} is no Standard Webhooks secret (whsec_ and the "
            "base64 of 24 to 64 bytes): make one with 'bearerwatch key webhook'"
        )
    return [Webhook(key) for key in keys if key is not None]


def _key(text: str) -> bytes | None:
    if not text.startswith(_PREFIX):
        return None
    text = text.removeprefix(_PREFIX)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw if _KEY_BYTES[0] <= len(raw) <= _KEY_BYTES[1] else None


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()

"""How a service shows the authorization server who asks about tokens (RFC 7662 §2.1, RFC 6749 §2.3).

None of these shows its secret in a ``repr``.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote_plus

from joserfc import jwt
from joserfc.errors import JoseError

from bearerwatch.errors import ConfigurationError

__all__ = ["BearerToken", "ClientAuth", "ClientSecretBasic", "ClientSecretPost", "PrivateKeyJwt", "Shown"]

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 60


class Shown(NamedTuple):
    """What goes along with a question."""

    headers: Mapping[str, str] = {}
    form: Mapping[str, str] = {}


class ClientAuth(Protocol):
    """Says who asks, for each question anew."""

    def __call__(self) -> Shown:
        """Headers and members of the form."""


class ClientSecretBasic:
    """``client_secret_basic``: id and secret by HTTP Basic, each form-encoded first (RFC 6749 §2.3.1).

    Raises:
        ConfigurationError: one of them is empty.
    """

    def __init__(self, client_id: str, client_secret: str) -> None:
        _there(client_id, client_secret)
        self._client_id = client_id
        pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        self._shown = Shown({"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()})

    def __repr__(self) -> str:
        return f"ClientSecretBasic({self._client_id!r})"

    def __call__(self) -> Shown:
        """See :class:`ClientAuth`."""
        return self._shown


class ClientSecretPost:
    """``client_secret_post``: id and secret in the form; for servers that take nothing else.

    Raises:
        ConfigurationError: one of them is empty.
    """

    def __init__(self, client_id: str, client_secret: str) -> None:
        _there(client_id, client_secret)
        self._client_id = client_id
        self._shown = Shown(form={"client_id": client_id, "client_secret": client_secret})

    def __repr__(self) -> str:
        return f"ClientSecretPost({self._client_id!r})"

    def __call__(self) -> Shown:
        """See :class:`ClientAuth`."""
        return self._shown


class BearerToken:
    """A token of the service's own.

    Args:
        token: it, or what hands out the present one.

    Raises:
        ConfigurationError: it is empty.
    """

    def __init__(self, token: str | Callable[[], str]) -> None:
        if not token:
            raise ConfigurationError("auth: the service's own token is empty")
        self._token = token

    def __repr__(self) -> str:
        return "BearerToken()"

    def __call__(self) -> Shown:
        """See :class:`ClientAuth`."""
        token = self._token if isinstance(self._token, str) else self._token()
        return Shown({"Authorization": f"Bearer {token}"})


class PrivateKeyJwt:
    """``private_key_jwt``: a short-lived assertion signed with the service's key (RFC 7523 §2.2); nothing is shared.

    Args:
        client_id: of this service.
        key: of joserfc, such as ``RSAKey.import_key(pem)``.
        algorithm: such as ``"ES256"``.
        audience: what the server calls itself: its issuer identifier.
        clock: Unix time in seconds.

    Raises:
        ConfigurationError: the key cannot sign by this algorithm.
    """

    def __init__(
        self,
        client_id: str,
        key: Any,
        *,
        algorithm: str,
        audience: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client_id, self._key, self._audience, self._clock = client_id, key, audience, clock
        self._header = {"alg": algorithm, "typ": "JWT"}
        if isinstance(kid := getattr(key, "kid", None), str):
            self._header["kid"] = kid
        try:
            self()
        except (JoseError, ValueError, TypeError, AttributeError):
            raise ConfigurationError(
                f"auth: this key cannot sign by {algorithm}: give a private one of joserfc, and its algorithm"
            ) from None

    def __repr__(self) -> str:
        return f"PrivateKeyJwt({self._client_id!r}, algorithm={self._header['alg']!r})"

    def __call__(self) -> Shown:
        """See :class:`ClientAuth`."""
        now = int(self._clock())
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._audience,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        assertion = jwt.encode(self._header, claims, self._key, algorithms=[self._header["alg"]])
        return Shown(
            form={
                "client_id": self._client_id,
                "client_assertion_type": _ASSERTION,
                "client_assertion": assertion,
            }
        )


def _there(client_id: str, client_secret: str) -> None:
    if not client_id or not client_secret:
        raise ConfigurationError("auth: client_id and client_secret are both needed; one is empty")

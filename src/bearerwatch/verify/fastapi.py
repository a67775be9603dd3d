"""FastAPI: ``Security(BearerAuth(guard), scopes=["read"])``, with its scheme in the OpenAPI document.

Works with and without :class:`bearerwatch.asgi.BearerwatchMiddleware`; with it the event of the request says all that
was found.
"""

# Older FastAPI (0.115, say) cannot resolve annotations that are strings where no function is called: no
# ``from __future__ import annotations`` here.

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from bearerwatch.errors import DidNotEnable
from bearerwatch.verify.answers import PROBLEM, Answer, Need
from bearerwatch.verify.guard import Asked, Guard
from bearerwatch.verify.verdict import Verdict

try:
    from fastapi.openapi.models import HTTPBearer, OpenIdConnect
    from fastapi.security import SecurityScopes
    from fastapi.security.base import SecurityBase
    from starlette.exceptions import HTTPException, WebSocketException
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
except ImportError:  # pragma: no cover - exercised in a subprocess
    raise DidNotEnable("FastAPI is not installed: pip install fastapi 'bearerwatch[verify]'") from None

__all__ = ["BearerAuth", "BearerRefused", "problem"]

_POLICY_VIOLATION = 1008


class BearerRefused(HTTPException):
    """A request that is not let in.

    FastAPI answers it with status, challenge and ``{"detail": ...}``, which is a problem of RFC 9457 already;
    ``app.add_exception_handler(BearerRefused, problem)`` makes it one with title and error code.
    """

    def __init__(self, answer: Answer) -> None:
        headers = {**dict(answer.headers), "Content-Type": PROBLEM}
        super().__init__(answer.status, str(answer.problem["title"]), headers)
        self.answer = answer


async def problem(_request: Request, refused: Exception) -> Response:
    """The whole answer to :class:`BearerRefused`."""
    if not isinstance(refused, BearerRefused):
        raise refused
    answer = refused.answer
    return Response(answer.body, answer.status, {**dict(answer.headers), "Content-Type": PROBLEM})


class BearerAuth(SecurityBase):
    """A dependency that is the :class:`~bearerwatch.verify.verdict.Verdict` of a good token; others get in no further.

    The scopes asked for are those of ``Security(..., scopes=[...])``, its own and those of what depends on it.

    Args:
        guard: who verifies.
        acr_values: see :class:`~bearerwatch.verify.answers.Need`.
        max_age: see there.
        optional: let in without a token, too: ``verdict.accepted`` tells.
        scheme_name: of the security scheme in the OpenAPI document.
        description: for people who read that.
        openid_connect_url: of the issuer's metadata, for who signs in from there; without it a token is typed in.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        acr_values: str | Sequence[str] = (),
        max_age: int | None = None,
        optional: bool = False,
        scheme_name: str = "bearer",
        description: str | None = None,
        openid_connect_url: str | None = None,
    ) -> None:
        self.scheme_name = scheme_name
        self.model = (
            HTTPBearer(bearerFormat="JWT", description=description)
            if openid_connect_url is None
            else OpenIdConnect(openIdConnectUrl=openid_connect_url, description=description)
        )
        self._guard, self._optional = guard, optional
        self._need = lru_cache(maxsize=256)(lambda scopes: Need.of(scopes, acr_values, max_age))
        self._need(())  # what is wrong with them is said now

    async def __call__(self, request: HTTPConnection, security_scopes: SecurityScopes) -> Verdict:
        """The verdict, which is good.

        Raises:
            BearerRefused: the request is not let in.
            WebSocketException: nor is the websocket.
        """
        headers = request.headers
        proofs = headers.getlist("dpop")
        asked = Asked(
            request.scope.get("method", "GET"),
            _url(request) if proofs else "",
            headers.getlist("authorization"),
            request.scope["query_string"].decode("latin-1"),
            proofs,
        )
        admission = await self._guard.admit(asked, self._need(tuple(security_scopes.scopes)), optional=self._optional)
        if admission.answer is not None:
            if request.scope["type"] == "websocket":
                raise WebSocketException(_POLICY_VIOLATION, str(admission.answer.problem["title"]))
            raise BearerRefused(admission.answer)
        return admission.verdict


def _url(request: HTTPConnection) -> str:
    scheme = {"ws": "http", "wss": "https"}.get(request.url.scheme, request.url.scheme)
    return f"{scheme}://{request.url.netloc}{quote(request.scope['path'])}"

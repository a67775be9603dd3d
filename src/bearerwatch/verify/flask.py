"""Flask: ``@require_bearer(scopes=["read"])``.

Works with and without :class:`bearerwatch.flask.Bearerwatch`; with it the event of the request says all that was found.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any
from urllib.parse import quote

from bearerwatch.errors import ConfigurationError, DidNotEnable
from bearerwatch.verify.answers import PROBLEM, Answer, Need
from bearerwatch.verify.guard import Admission, Asked, Guard

try:
    import flask
except ImportError:  # pragma: no cover - exercised in a subprocess
    raise DidNotEnable("Flask is not installed: pip install 'bearerwatch[flask,verify]'") from None

__all__ = ["require_bearer", "use_guard"]

_KEY = "bearerwatch.guard"


def use_guard(app: flask.Flask, guard: Guard) -> None:
    """Make *guard* that of all of *app*'s views that name none."""
    app.extensions[_KEY] = guard


def require_bearer(
    *,
    scopes: str | Sequence[str] = (),
    acr_values: str | Sequence[str] = (),
    max_age: int | None = None,
    optional: bool = False,
    guard: Guard | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let in who has a good token; all others are answered without calling the view, which may be a coroutine.

    The view finds the :class:`~bearerwatch.verify.verdict.Verdict` in ``flask.g.bearer``.

    Args:
        scopes: that the token has to have, all of them.
        acr_values: see :class:`~bearerwatch.verify.answers.Need`.
        max_age: see there.
        optional: let in without a token, too: ``flask.g.bearer.accepted`` tells.
        guard: who verifies; by default that of :func:`use_guard`.

    Raises:
        ConfigurationError: a scope is none, or, at a request, there is no guard.
    """
    need = Need.of(scopes, acr_values, max_age)

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(view):

            @wraps(view)
            async def later(*args: Any, **kwargs: Any) -> Any:
                admission = await _guard_of(guard).admit(_asked(), need, optional=optional)
                refusal = _refusal(admission)
                return await view(*args, **kwargs) if refusal is None else refusal

            return later

        @wraps(view)
        def now(*args: Any, **kwargs: Any) -> Any:
            refusal = _refusal(_guard_of(guard)(_asked(), need, optional=optional))
            return view(*args, **kwargs) if refusal is None else refusal

        return now

    return decorate


def _guard_of(guard: Guard | None) -> Guard:
    found: Guard | None = guard or flask.current_app.extensions.get(_KEY)
    if found is None:
        raise ConfigurationError("no guard: call bearerwatch.verify.flask.use_guard(app, guard), or pass one")
    return found


def _asked() -> Asked:
    request = flask.request
    environ = request.environ
    authorization, proof = environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_DPOP")
    return Asked(
        request.method,
        "" if proof is None else request.host_url.rstrip("/") + quote(request.root_path + request.path),
        () if authorization is None else (authorization,),
        environ.get("QUERY_STRING", ""),
        () if proof is None else (proof,),
    )


def _refusal(admission: Admission) -> flask.Response | None:
    if admission.answer is not None:
        return _response(admission.answer)
    flask.g.bearer = admission.verdict
    return None


def _response(answer: Answer) -> flask.Response:
    return flask.Response(answer.body, answer.status, headers=list(answer.headers), content_type=PROBLEM)

"""Django REST framework: an authentication class, and a permission that asks for scopes.

Works with and without :class:`bearerwatch.django.Middleware`; with it the event of the request says all that was found.
https://www.django-rest-framework.org/api-guide/authentication/#custom-authentication
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from bearerwatch.errors import ConfigurationError, DidNotEnable
from bearerwatch.verify.answers import PROBLEM, Answer, Need, about
from bearerwatch.verify.guard import Asked, Guard
from bearerwatch.verify.verdict import Verdict

try:
    from django.conf import settings
    from django.utils.module_loading import import_string
    from rest_framework import exceptions, permissions
    from rest_framework.authentication import BaseAuthentication
except ImportError:  # pragma: no cover - exercised in a subprocess
    raise DidNotEnable("Django REST framework is not installed: pip install djangorestframework") from None

__all__ = ["BearerAuthentication", "BearerRefused", "BearerUser", "exception_handler", "require_scopes"]


class BearerRefused(exceptions.APIException):  # type: ignore[misc] # REST framework has no types
    """A request that is not let in, with the answer it gets.

    It is no ``AuthenticationFailed``: of that REST framework makes a 403, or puts another scheme into its challenge,
    where the first of the view's authenticators is another one.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.status_code = answer.status
        self.auth_header = answer.challenge  # REST framework's handler makes the headers of these two
        self.wait = answer.retry_after
        super().__init__(str(answer.problem["title"]), str(answer.problem.get("error", "error")))


def exception_handler(error: Exception, context: Any) -> Any:
    """For ``EXCEPTION_HANDLER``: REST framework's own, but who has no good token is answered a problem (RFC 9457)."""
    from rest_framework.views import exception_handler as theirs  # noqa: PLC0415 - which loads us, by its settings

    response = theirs(error, context)
    if response is None:
        return None
    if isinstance(error, BearerRefused):
        response.data = error.answer.problem
    elif isinstance(error, exceptions.NotAuthenticated):
        response.data = about(response.status_code)
    else:
        return response
    response.content_type = PROBLEM
    return response


class BearerUser:
    """Who has a token, where no row of the database stands for them."""

    is_authenticated = is_active = True
    is_anonymous = is_staff = is_superuser = False

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.pk = self.id = self.username = verdict.subject

    def __str__(self) -> str:
        return self.username or ""

    def get_username(self) -> str:
        """The token's subject."""
        return self.username or ""


class BearerAuthentication(BaseAuthentication):  # type: ignore[misc] # as above
    """Verifies the token of a request: ``request.user`` is whose it is, ``request.auth`` the verdict.

    The guard is ``settings.BEARERWATCH_GUARD``, or the dotted name of one; or the attribute of a subclass. One that
    overrides :meth:`get_user` has users of its own.
    """

    guard: Guard | None = None

    def get_guard(self) -> Guard:
        """Who verifies.

        Raises:
            ConfigurationError: there is no guard.
        """
        found = self.guard or getattr(settings, "BEARERWATCH_GUARD", None)
        found = import_string(found) if isinstance(found, str) else found
        if not isinstance(found, Guard):
            raise ConfigurationError("set BEARERWATCH_GUARD to a bearerwatch.verify.guard.Guard or its dotted name")
        return found

    def get_user(self, verdict: Verdict) -> Any:
        """The user of a good token; ``None`` if there is none any more, and then the token is refused."""
        return BearerUser(verdict)

    def authenticate(self, request: Any) -> tuple[Any, Verdict] | None:
        """User and verdict; ``None`` without a token, which leaves the request to other authenticators.

        Raises:
            BearerRefused: there is a token, and it will not do.
        """
        guard = self.get_guard()
        admission = guard(_asked(request), optional=True)
        if admission.answer is None and not admission.verdict.accepted:
            return None
        user = None
        if admission.answer is None:
            user = self.get_user(admission.verdict)
            if user is None:
                admission = guard.refuse(admission.verdict, "unknown_subject")
            elif not getattr(user, "is_active", True):
                admission = guard.refuse(admission.verdict, "inactive_subject")
        if admission.answer is not None:
            raise _refused(request, admission.answer)
        return user, admission.verdict

    def authenticate_header(self, _request: Any) -> str:
        """The challenge to a request without a token, which has no error (RFC 6750 §3.1)."""
        return self.get_guard().challenges.challenge()


def _asked(request: Any) -> Asked:
    meta = request.META
    authorization, proof = meta.get("HTTP_AUTHORIZATION"), meta.get("HTTP_DPOP")
    return Asked(
        request.method,
        "" if proof is None else f"{request.scheme}://{request.get_host()}{quote(request.path)}",
        () if authorization is None else (authorization,),
        meta.get("QUERY_STRING", ""),
        () if proof is None else (proof,),
    )


def _refused(request: Any, answer: Answer) -> BearerRefused:
    """The exception; what REST framework's handler makes no header of is put beside the view's own."""
    view = (getattr(request, "parser_context", None) or {}).get("view")
    headers = getattr(view, "headers", None)
    if isinstance(headers, dict):
        headers.update((name, value) for name, value in answer.headers if name in ("Cache-Control", "DPoP-Nonce"))
    return BearerRefused(answer)


def require_scopes(
    scopes: str | Sequence[str], *, acr_values: str | Sequence[str] = (), max_age: int | None = None
) -> type[permissions.BasePermission]:
    """A permission: ``permission_classes = [require_scopes("read")]``.

    It answers by itself where a scope is lacking, since the challenge has to name that: it can stand beside other
    permissions, and not be composed with them by ``|``.

    Args:
        scopes: that the token has to have, all of them.
        acr_values: see :class:`~bearerwatch.verify.answers.Need`.
        max_age: see there.

    Raises:
        ConfigurationError: a scope is none.
    """
    need = Need.of(scopes, acr_values, max_age)

    class RequireScopes(permissions.BasePermission):  # type: ignore[misc] # as above
        """Asks for scopes of who was authenticated by a token."""

        def has_permission(self, request: Any, _view: Any) -> bool:
            """Whether the token has them; nobody without a token does.

            Raises:
                BearerRefused: it has not.
            """
            verdict, by = request.auth, request.successful_authenticator
            if not isinstance(verdict, Verdict) or not isinstance(by, BearerAuthentication):
                return False
            answer = by.get_guard().weigh(verdict, need).answer
            if answer is not None:
                raise _refused(request, answer)
            return True

    return RequireScopes

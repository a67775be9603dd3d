"""Django: the app ``bearerwatch.django`` and the middleware ``bearerwatch.django.Middleware``.

Sync and async are thin shells around the same three steps: open, answer, stream.
"""

from __future__ import annotations

from asyncio import CancelledError
from typing import TYPE_CHECKING, Any

from bearerwatch import _guard
from bearerwatch.context import note
from bearerwatch.errors import DidNotEnable
from bearerwatch.integrations._start import start
from bearerwatch.integrations._wsgi import open_environ
from bearerwatch.integrations.libraries import answered, tell

try:
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction
    from django.conf import settings as django_settings
    from django.utils.functional import LazyObject
except ImportError:  # pragma: no cover - exercised in a subprocess
    raise DidNotEnable("Django is not installed: pip install 'bearerwatch[django]'") from None

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bearerwatch.observe import Exchange, Watch

__all__ = ["Middleware", "configured", "the_watch"]

_watch: Watch | None = None


def configured() -> dict[str, Any]:
    """``settings.BEARERWATCH`` with lower-case names, and the project's name as the service."""
    given = getattr(django_settings, "BEARERWATCH", None) or {}
    return {str(name).lower(): value for name, value in given.items()}


def project_name() -> str:
    """The project's package, as ``ROOT_URLCONF`` names it."""
    return str(getattr(django_settings, "ROOT_URLCONF", "") or "django").partition(".")[0].strip("_-.") or "django"


def the_watch() -> Watch:
    """The one watch of this process, made at first use."""
    global _watch  # noqa: PLW0603
    if _watch is None:
        _watch = start(project_name(), **configured())
    return _watch


def forget_watch() -> None:
    """Make the watch anew at the next use (settings changed, as in tests)."""
    global _watch  # noqa: PLW0603
    _watch = None


class Middleware:
    """One event for each request. Put it first in ``MIDDLEWARE``, so that it sees what others refuse."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)
        self._watch = the_watch()
        if self._watch.settings.revocations:
            self.get_response = _refusing(get_response, self._watch)

    def __call__(self, request: Any) -> Any:
        """Serve one request; under async it returns what is to be awaited."""
        if self._async:
            return self._serve(request)
        exchange = self._open(request)
        if exchange is None:
            return self.get_response(request)
        try:
            response = self.get_response(request)
        except BaseException as error:
            _raised(exchange, request, error)
            raise
        return _answered(exchange, request, response)

    async def _serve(self, request: Any) -> Any:
        exchange = self._open(request)
        if exchange is None:
            return await self.get_response(request)
        try:
            response = await self.get_response(request)
        except BaseException as error:
            _raised(exchange, request, error)
            exchange.hand_back()
            raise
        _answered(exchange, request, response)
        exchange.hand_back()
        return response

    def process_exception(self, _request: Any, error: Exception) -> None:
        """Hear what a view has raised: Django calls this, and answers as it would have."""
        tell("django_raised", error)

    def _open(self, request: Any) -> Exchange | None:
        environ = request.META
        if "bearerwatch.exchange" in environ:
            return None
        exchange = open_environ(self._watch, environ, request.path)
        if exchange is not None:
            environ["bearerwatch.exchange"] = exchange
        return exchange


def _refusing(get_response: Callable[[Any], Any], watch: Watch) -> Callable[[Any], Any]:
    """*get_response* behind what refuses withdrawn tokens."""
    from django.http import HttpResponse  # noqa: PLC0415 - only where it is asked for

    from bearerwatch.integrations._withdrawn import Withdrawn  # noqa: PLC0415

    withdrawn = Withdrawn.of(watch)

    def refused(request: Any) -> Any:
        body = b"" if request.method == "HEAD" else withdrawn.body
        return HttpResponse(body, status=withdrawn.answer.status, headers=dict(withdrawn.headers))

    def now(request: Any) -> Any:
        return refused(request) if withdrawn(request.META.get("bearerwatch.exchange")) else get_response(request)

    async def later(request: Any) -> Any:
        if await withdrawn.later(request.META.get("bearerwatch.exchange")):
            return refused(request)
        return await get_response(request)

    return later if iscoroutinefunction(get_response) else now


def _raised(exchange: Exchange, request: Any, error: BaseException) -> None:
    gone = isinstance(error, CancelledError)  # Django cancels an async view whose client has left
    exchange.finish(499 if gone else 500, _route(request), raised=True)
    exchange.leave()  # the token stays live until the traceback, which somebody will log, is gone


def _answered(exchange: Exchange, request: Any, response: Any) -> Any:
    """Finish an ordinary answer now, and a stream before its end."""
    try:
        headers = response.headers
        status = response.status_code
        if "X-Request-ID" not in headers:
            headers["X-Request-ID"] = exchange.request_id
        challenge = headers.get("WWW-Authenticate") if status >= 400 else None
        if exchange.presented:
            _vouch(request)
            answered("django_answered", request, response)
        route = _route(request)
        if (
            not response.streaming
            or "Content-Length" in headers
            or getattr(response, "file_to_stream", None) is not None
        ):
            exchange.finish(status, route, challenge)
            if exchange.holds:
                _when_closed(response, exchange.release)
        else:
            _stream(
                exchange,
                response,
                lambda raised: exchange.finish(status, route, challenge, raised=raised),
            )
    except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
        _guard.swallowed("reading an answer", error)
        exchange.finish(getattr(response, "status_code", 500))
    exchange.leave()
    return response


def _vouch(request: Any) -> None:
    """A library that sets ``request.auth`` (Django REST framework's do) has verified the token.

    The user Django's own middleware puts there is not asked: that one is of the session, which vouches for no token,
    and asking costs a query, which async code may not make.
    """
    held = request.__dict__
    auth = held.get("auth")
    if auth is not None and not isinstance(auth, LazyObject):
        user = held.get("user")
        key = None if isinstance(user, LazyObject) else getattr(user, "pk", None)
        note(verified=True, subject=key)


def _when_closed(response: Any, action: Callable[[], None]) -> None:
    """Run *action* when the server closes *response*: after its access log is written.

    Django keeps what it closes with a response in a list of its own. Wrapping ``close`` instead, as is done
    where that list is missing, makes a reference cycle of every response, which costs more than all the rest.
    """
    closers = getattr(response, "_resource_closers", None)
    if closers is not None:
        closers.append(action)
        return
    close = response.close

    def close_too() -> None:
        try:
            close()
        finally:
            action()

    response.close = close_too


def _stream(exchange: Exchange, response: Any, finish: Callable[[bool], None]) -> None:
    content = response.streaming_content

    def over() -> None:
        exchange.leave()
        finish(False)
        exchange.release()

    async def later(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            while True:
                try:
                    chunk = await exchange.later_piece(chunks)
                except StopAsyncIteration:
                    break
                yield chunk
        except Exception:
            finish(True)
            raise
        finish(False)

    def now(chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            while True:
                try:
                    chunk = exchange.piece(chunks)
                except StopIteration:
                    break
                yield chunk
        except Exception:
            finish(True)
            raise
        finish(False)

    response.streaming_content = later(aiter(content)) if response.is_async else now(iter(content))
    closers = getattr(response, "_resource_closers", None)
    if closers is not None:
        closers.insert(0, exchange.enter)  # a generator whose client has left ends now
    _when_closed(response, over)


def _route(request: Any) -> str | None:
    try:
        match = request.resolver_match
        return "" if match is None else "/" + str(match.route).lstrip("^/")
    except Exception as error:  # noqa: BLE001 - host boundary: an event without its route is still an event
        _guard.swallowed("reading a route", error)
        return None

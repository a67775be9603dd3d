"""Flask: ``Bearerwatch(app)``, one line. Works for any WSGI callable through :class:`WatchedWsgi`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bearerwatch import _guard
from bearerwatch.errors import DidNotEnable
from bearerwatch.integrations._start import start
from bearerwatch.integrations._wsgi import open_environ
from bearerwatch.integrations.libraries import answered, tell

try:
    import flask
    from werkzeug.wsgi import ClosingIterator
except ImportError:  # pragma: no cover - exercised in a subprocess
    raise DidNotEnable("Flask is not installed: pip install 'bearerwatch[flask]'") from None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bearerwatch.observe import Exchange, Watch

__all__ = ["Bearerwatch", "WatchedWsgi"]

_BODILESS = frozenset({"204", "304"})
_PREFIX = "BEARERWATCH_"


class Bearerwatch:
    """Flask extension: one event for each request, and no token in a log.

    Args:
        app: the application, or ``None`` to call :meth:`init_app` later.
        settings: see :class:`bearerwatch.settings.Settings`; ``app.config["BEARERWATCH_<NAME>"]`` works too.
    """

    def __init__(self, app: flask.Flask | None = None, **settings: Any) -> None:
        self._settings = settings
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Watch *app*. Doing it twice changes nothing.

        Raises:
            ConfigurationError: a setting cannot be used.
        """
        if "bearerwatch" in app.extensions:
            return
        configured = {
            key.removeprefix(_PREFIX).lower(): value for key, value in app.config.items() if key.startswith(_PREFIX)
        }
        name = app.name if app.name != "__main__" else "flask"
        watch = start(name, **(configured | self._settings))
        app.handle_user_exception = _hearing(app.handle_user_exception)  # type: ignore[method-assign]
        app.wsgi_app = WatchedWsgi(app.wsgi_app, watch)  # type: ignore[method-assign]
        app.extensions["bearerwatch"] = self


def _hearing(theirs: Any) -> Any:
    """``Flask.handle_user_exception``, which applications may override, and which is given whatever a view raises."""

    def handle_user_exception(error: Exception) -> Any:
        tell("flask_raised", error)
        return theirs(error)

    return handle_user_exception


class WatchedWsgi:
    """A WSGI application, watched (PEP 3333)."""

    __slots__ = ("_app", "_watch")

    def __init__(self, app: Callable[..., Iterable[bytes]], watch: Watch) -> None:
        if watch.settings.revocations:
            from bearerwatch.integrations._withdrawn import wsgi  # noqa: PLC0415 - only where it is asked for

            app = wsgi(app, watch)
        self._app = app
        self._watch = watch

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        if "bearerwatch.exchange" in environ:
            return self._app(environ, start_response)
        exchange = open_environ(self._watch, environ)
        if exchange is None:
            return self._app(environ, start_response)
        environ["bearerwatch.exchange"] = exchange
        line = challenge = route = None
        whole = False

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal line, challenge, route, whole
            line, challenge, named = status, None, False
            whole = status[:3] in _BODILESS or environ.get("REQUEST_METHOD") == "HEAD"
            for name, value in headers:
                size = len(name)
                if size == 14:
                    whole = whole or name.lower() == "content-length"
                elif size == 16:
                    if name.lower() == "www-authenticate":
                        challenge = value if challenge is None else f"{challenge}, {value}"
                elif size == 12:
                    named = named or name.lower() == "x-request-id"
            route = _route(environ)  # Flask takes its request out of the environ when it is done
            _answered(exchange)
            if not named:
                headers = [*headers, ("X-Request-ID", exchange.request_id)]
            return (
                start_response(status, headers, exc_info) if exc_info is not None else start_response(status, headers)
            )

        def finish(raised: bool = False) -> None:
            code = int(line[:3]) if line is not None and line[:3].isdigit() else 500
            exchange.finish(code, route, challenge, raised=raised or line is None)

        try:
            body = self._app(environ, start)
        except BaseException:
            exchange.finish(500, _route(environ), raised=True)
            exchange.leave()  # the token stays live until the traceback, which somebody will log, is gone
            raise
        exchange.leave()
        if not whole:
            return _Streamed(body, exchange, finish)
        finish()
        if exchange.holds and not _sendfile(body, environ):
            return _closing(body, exchange)
        exchange.release()
        return body


def _answered(exchange: Exchange) -> None:
    if exchange.presented:
        answered("flask_answered")  # while Flask's context is there


def _sendfile(body: Any, environ: dict[str, Any]) -> bool:
    """Whether *body* is the server's own file wrapper, which it knows by its class and sends by itself."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)  # uWSGI's is a function


def _route(environ: dict[str, Any]) -> str | None:
    """The matched rule, empty if none matched. Werkzeug leaves its request in the environ."""
    try:
        request = environ.get("werkzeug.request")
        if request is None:
            return None  # not Flask: who knows
        rule = getattr(request, "url_rule", None)
        return "" if rule is None else str(rule.rule)
    except Exception as error:  # noqa: BLE001 - host boundary: an event without its route is still an event
        _guard.swallowed("reading a route", error)
        return None


def _closing(body: Iterable[bytes], exchange: Exchange) -> Iterable[bytes]:
    """*body*, which lets go of the token when the server closes it.

    Werkzeug keeps a list of what it does when a body is closed. Where that is missing the body is wrapped, which
    costs two more calls a request. Should something before us in that list raise, the exchange lets go when it is
    forgotten.
    """
    if type(body) is ClosingIterator:
        actions = getattr(body, "_callbacks", None)
        if type(actions) is list:
            actions.append(exchange.release)
            return body
    return _Closing(body, exchange)


class _Closing:
    """A body whose event is out: lets go of the token when the server closes it, after its access log."""

    __slots__ = ("_body", "_exchange")

    def __init__(self, body: Iterable[bytes], exchange: Exchange) -> None:
        self._body = body
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._exchange.release()


class _Streamed:
    """A body of unknown length: its event goes out before its end does."""

    __slots__ = ("_body", "_exchange", "_finish", "_iterator")

    def __init__(self, body: Iterable[bytes], exchange: Exchange, finish: Callable[[bool], None]) -> None:
        self._body = body
        self._exchange = exchange
        self._finish = finish
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._iterator is None:
                self._iterator = iter(self._body)
            return self._exchange.piece(self._iterator)
        except StopIteration:
            self._finish(False)
            raise
        except BaseException:
            self._finish(True)
            raise

    def close(self) -> None:
        self._exchange.enter()  # a generator whose client has left ends now
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._exchange.leave()
            self._finish(False)
            self._exchange.release()

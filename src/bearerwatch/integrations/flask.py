"""Flask: ``Bearerwatch(app)``, one line. Works for any WSGI callable through :class:`WatchedWsgi`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bearerwatch import _guard
from bearerwatch.errors import DidNotEnable
from bearerwatch.integrations._start import start
from bearerwatch.integrations._wsgi import open_environ

try:
    import flask
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
        app.wsgi_app = WatchedWsgi(app.wsgi_app, watch)  # type: ignore[method-assign]
        app.extensions["bearerwatch"] = self


class WatchedWsgi:
    """A WSGI application, watched (PEP 3333)."""

    __slots__ = ("_app", "_watch")

    def __init__(self, app: Callable[..., Iterable[bytes]], watch: Watch) -> None:
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
        answer = _Answer(exchange, environ, start_response)
        try:
            body = self._app(environ, answer.start)
        except BaseException:
            exchange.finish(500, _route(environ), raised=True)
            exchange.leave()
            exchange.release()
            raise
        exchange.leave()
        if not answer.whole:
            return _Streamed(body, answer)
        answer.finish()
        if exchange.holds and not _sendfile(body, environ):
            return _Closing(body, exchange)
        exchange.release()
        return body


def _sendfile(body: Any, environ: dict[str, Any]) -> bool:
    """Whether *body* is the server's own file wrapper, which it knows by its class and sends by itself."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)  # uWSGI's is a function


class _Answer:
    """What the application answered, as far as it has."""

    __slots__ = ("_environ", "_start", "challenge", "exchange", "route", "status", "whole")

    def __init__(self, exchange: Exchange, environ: dict[str, Any], start_response: Callable[..., Any]) -> None:
        self.exchange = exchange
        self.status: str | None = None
        self.challenge: str | None = None
        self.route: str | None = None
        self.whole = False
        self._environ = environ
        self._start = start_response

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """The application's ``start_response``."""
        whole = status[:3] in _BODILESS or self._environ.get("REQUEST_METHOD") == "HEAD"
        named = False
        challenge = None
        for name, value in headers:
            size = len(name)
            if size == 14:
                whole = whole or name.lower() == "content-length"
            elif size == 16:
                if name.lower() == "www-authenticate":
                    challenge = value if challenge is None else f"{challenge}, {value}"
            elif size == 12:
                named = named or name.lower() == "x-request-id"
        self.status, self.challenge, self.whole = status, challenge, whole
        self.route = _route(self._environ)  # Flask takes its request out of the environ when it is done
        if not named:
            headers = [*headers, ("X-Request-ID", self.exchange.request_id)]
        return self._start(status, headers, exc_info) if exc_info is not None else self._start(status, headers)

    def finish(self, *, raised: bool = False) -> None:
        """Hand over the event, once."""
        if not self.exchange.finished:
            status = self.status
            code = int(status[:3]) if status is not None and status[:3].isdigit() else 500
            self.exchange.finish(code, self.route, self.challenge, raised=raised or status is None)


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

    __slots__ = ("_answer", "_body", "_iterator")

    def __init__(self, body: Iterable[bytes], answer: _Answer) -> None:
        self._body = body
        self._answer = answer
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._iterator is None:
                self._iterator = iter(self._body)
            return next(self._iterator)
        except StopIteration:
            self._answer.finish()
            raise
        except BaseException:
            self._answer.finish(raised=True)
            raise

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._answer.finish()
            self._answer.exchange.release()

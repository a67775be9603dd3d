"""ASGI: one pure middleware for Starlette, FastAPI and every other ASGI 3 application.

``app.add_middleware(BearerwatchMiddleware)``, or ``app = BearerwatchMiddleware(app)`` to be outermost.
HTTP, streaming and websockets; https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from asyncio import CancelledError
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any

from bearerwatch import _guard
from bearerwatch.integrations._start import start
from bearerwatch.integrations.libraries import answered
from bearerwatch.observe import Exchange, Facts

if TYPE_CHECKING:
    from bearerwatch.observe import Watch

__all__ = ["BearerwatchMiddleware"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_BODILESS = frozenset({204, 304})
_BODIES = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})
"""Messages that may end an answer; the others are extensions' and end none."""
_MAX_JOINED = 8192
"""Bytes kept of what came before, where a header is repeated: thousands of them cost no more than a few."""
_LISTS = frozenset({b"x-forwarded-for", b"forwarded", b"sec-websocket-protocol", b"tracestate"})
"""Headers that may be repeated and mean the same joined by commas (RFC 9110 §5.3)."""
_ONCE = frozenset({b"traceparent", b"x-request-id"})
"""Headers that say nothing if there are two: joined they are no ids any more."""
_REFUSING_CLOSES = {1008: 401, 3000: 401, 4401: 401, 3003: 403, 4403: 403}
"""Close codes that refuse the caller: RFC 6455 §7.4.1, IANA's 3000 and 3003, and the usual private ones."""


class BearerwatchMiddleware:
    """Watches an ASGI application: one event for each request, and no token in a log.

    Args:
        app: the application.
        settings: see :class:`bearerwatch.settings.Settings`.

    Raises:
        ConfigurationError: a setting cannot be used.
    """

    if TYPE_CHECKING:  # as Starlette's own types have middleware since 0.42

        def __init__(self, app: App, /, **settings: Any) -> None: ...

    else:  # before that it named the application

        def __init__(self, app, **settings):  # noqa: ANN001, ANN003, ANN204
            self._start(app, settings)

    def _start(self, app: App, settings: dict[str, Any]) -> None:
        self._watch: Watch = start("asgi", **settings)
        if self._watch.settings.revocations:
            from bearerwatch.integrations._withdrawn import asgi  # noqa: PLC0415 - only where it is asked for

            app = asgi(app, self._watch)
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "websocket":
            await self._websocket(scope, receive, send)
            return
        exchange = self._open(scope) if kind == "http" else None
        if exchange is None:
            await self.app(scope, receive, send)
            return
        root = scope.get("root_path", "")
        status: int | None = None
        challenge: str | None = None

        def watched_send(message: Message) -> Awaitable[None]:  # no coroutine of its own: it awaits nothing
            nonlocal status, challenge
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers") or ())  # it may be an iterator, which is read but once
                whole, challenge, named = _read_headers(headers)
                if exchange.presented:
                    answered("asgi_answered", scope)
                if not named:
                    headers.append((b"x-request-id", exchange.request_id.encode()))
                message = {**message, "headers": headers}
                if whole or status in _BODILESS or scope["method"] == "HEAD":
                    exchange.finish(status, _route(scope, root), challenge)
            elif (
                not exchange.finished and kind in _BODIES and status is not None and not message.get("more_body", False)
            ):
                exchange.finish(status, _route(scope, root), challenge)
            return send(message)

        try:
            await self.app(scope, receive, watched_send)
        except BaseException as error:
            if status is None and isinstance(error, CancelledError):
                exchange.finish(499, _route(scope, root))
            else:
                exchange.finish(status or 500, _route(scope, root), challenge, raised=True)
            exchange.hand_back()  # the token stays live until the traceback, which somebody will log, is gone
            raise
        if not exchange.finished:
            exchange.finish(status or 500, _route(scope, root), challenge, raised=status is None)
        exchange.end()

    def _open(self, scope: Scope) -> Exchange | None:
        if "bearerwatch" in scope:
            return None
        try:
            exchange = self._watch.open(_facts(scope))
        except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
            _guard.swallowed("reading a request", error)
            return None
        scope["bearerwatch"] = exchange
        return exchange

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._open(scope)
        if exchange is None:
            await self.app(scope, receive, send)
            return
        socket = _Socket(exchange, scope, receive, send)
        try:
            await self.app(scope, socket.receive, socket.send)
        except BaseException as error:
            if isinstance(error, CancelledError):
                socket.finish(socket.status or 499)
            else:
                socket.finish(500, raised=True)
            exchange.hand_back()  # as above
            raise
        socket.finish(socket.status or 403)
        exchange.end()


class _Socket:
    """One websocket.

    Many applications accept first and look at the token then, closing with a refusing code. So the event
    waits for the first sign that the caller was let in: something sent to it, or a second message awaited
    from it.
    """

    __slots__ = ("_challenge", "_exchange", "_heard", "_receive", "_root", "_scope", "_send", "status")

    def __init__(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        self.status: int | None = None
        self._exchange = exchange
        self._scope = scope
        self._root = scope.get("root_path", "")
        self._receive = receive
        self._send = send
        self._challenge: str | None = None
        self._heard = False

    def finish(self, code: int, *, raised: bool = False, judged: int | None = None) -> None:
        """Hand over the event, once."""
        if not self._exchange.finished:
            route = _route(self._scope, self._root)
            if judged is not None and route == "":  # a router refuses what it does not know in the same way
                judged = 404
            self._exchange.finish(code, route, self._challenge, raised=raised, judged=judged)

    async def receive(self) -> Message:
        """The application's ``receive``."""
        if self._heard and self.status == 101:
            self.finish(101)
        message = await self._receive()
        if message["type"] == "websocket.receive":
            self._heard = True
        elif message["type"] == "websocket.disconnect":
            self.finish(self.status or 499)
        return message

    async def send(self, message: Message) -> None:
        """The application's ``send``."""
        kind = message["type"]
        if kind == "websocket.accept":
            self.status = 101
            message = self._named(message)
        elif kind == "websocket.close":
            status, code = self.status, message.get("code", 1000)
            if status is None:  # the server answers 403 whatever the code: it is the token that was refused
                self.finish(403, judged=_REFUSING_CLOSES.get(code, 401))
            else:
                self.finish(_REFUSING_CLOSES.get(code, status))
        elif kind == "websocket.http.response.start":
            self.status = message["status"]
            message = self._named(message)
            self._challenge = _read_headers(message["headers"])[1]
            self.finish(message["status"])
        elif self.status is not None:
            self.finish(self.status)
        await self._send(message)

    def _named(self, message: Message) -> Message:
        headers = list(message.get("headers") or ())
        if not _read_headers(headers)[2]:
            headers.append((b"x-request-id", self._exchange.request_id.encode()))
        return {**message, "headers": headers}


def _read_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bool, str | None, bool]:
    """Of an answer's headers: is its length known, the challenge, and does it name the request already?"""
    whole = named = False
    challenge = None
    for name, value in headers:
        size = len(name)
        if size == 14:
            whole = whole or name.lower() == b"content-length"
        elif size == 16:
            if name.lower() == b"www-authenticate":
                said = value.decode("latin-1")
                challenge = said if challenge is None else f"{challenge}, {said}"
        elif size == 12:
            named = named or name.lower() == b"x-request-id"
    return whole, challenge, named


def _facts(scope: Scope) -> Facts:
    headers = scope["headers"]
    if not isinstance(headers, list | tuple):  # perhaps an iterator, which is read but once
        headers = scope["headers"] = list(headers)
    found: dict[bytes, bytes] = dict(headers)
    several = None
    if len(found) != len(headers):
        found, several = _joined(headers)
    get = found.get
    authorization, agent, request_id = get(b"authorization"), get(b"user-agent"), get(b"x-request-id")
    forwarded_for, forwarded, traceparent = get(b"x-forwarded-for"), get(b"forwarded"), get(b"traceparent")
    tracestate = None if traceparent is None else get(b"tracestate")
    client = scope.get("client")
    protocol = get(b"sec-websocket-protocol") if scope["type"] == "websocket" else None
    return Facts(
        scope.get("method") or "GET",
        scope["path"],
        scope.get("query_string", b"").decode("latin-1"),
        client[0] if client else "",
        None if authorization is None else authorization.decode("latin-1"),
        None if several is None else several.decode("latin-1"),
        None if forwarded_for is None else forwarded_for.decode("latin-1"),
        None if forwarded is None else forwarded.decode("latin-1"),
        None if agent is None else agent.decode("latin-1"),
        None if request_id is None else request_id.decode("latin-1"),
        None if traceparent is None else traceparent.decode("latin-1"),
        None if protocol is None else _subprotocol(protocol.decode("latin-1")),
        None if tracestate is None else tracestate.decode("latin-1"),
    )


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], bytes | None]:
    """Headers of which some are repeated, and what ``Authorization`` there is besides the first."""
    found: dict[bytes, bytes] = {}
    several: bytes | None = None
    for name, value in headers:
        before = found.get(name)
        if before and name in _ONCE:
            found[name] = before[:_MAX_JOINED] + b"," + value
        elif not before or name not in _LISTS:
            if before and name == b"authorization":
                several = value if several is None else several[:_MAX_JOINED] + b"," + value
            else:
                found[name] = value
        elif name == b"sec-websocket-protocol":
            found[name] = before[:_MAX_JOINED] + b"," + value
        else:  # the nearest proxy's word stands last
            found[name] = before[-_MAX_JOINED:] + b"," + value
    return found, several


_K8S = "base64url.bearer.authorization.k8s.io."


def _subprotocol(header: str) -> tuple[str, str] | None:
    """A token carried as a websocket subprotocol, as browsers can send no header.

    Either ``bearer, <token>`` or Kubernetes' ``base64url.bearer.authorization.k8s.io.<token>``.
    """
    names = [name.strip() for name in header[:16_384].split(",")]
    for place, name in enumerate(names):
        if name.startswith(_K8S) and len(name) > len(_K8S):
            return "subprotocol", _unwrapped(name[len(_K8S) :])
        if name.lower() in {"bearer", "authorization", "access_token", "jwt"} and place + 1 < len(names):
            return "subprotocol", names[place + 1]
    return None


def _unwrapped(text: str) -> str:
    """The token in *text*, which is base64url without padding, or *text* itself if that is no such thing."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except ValueError:  # binascii.Error and UnicodeDecodeError are ValueErrors
        return text


def _route(scope: Scope, root: str) -> str | None:
    """The matched route's template, with the prefix of what it is mounted under; empty if none matched."""
    try:
        route = scope.get("route")
        if route is None:
            return _looked_up(scope, root)
        path = _path_of(route, scope)
        if path is None:
            return "" if "router" in scope else None
        mounted = scope.get("root_path", "")[len(root) :]
        return f"{_template(mounted, route, scope)}{path}" if mounted else path
    except Exception as error:  # noqa: BLE001 - host boundary: an event without its route is still an event
        _guard.swallowed("reading a route", error)
        return None


def _path_of(route: Any, scope: Scope) -> str | None:
    """The path of *route* under what it is mounted on; nothing if *route* is itself a mount."""
    included = scope.get("fastapi")
    if included:  # FastAPI includes routers as they are: the prefix stands beside the route
        context = included.get("effective_route_context")
        if context is not None and context.original_route is route:
            route = context.starlette_route or context
    path: str | None = getattr(route, "path", None)
    return "" if path and hasattr(route, "routes") else path


def _template(mounted: str, route: Any, scope: Scope) -> str:
    """The path of the mounts, as their templates have it: what a caller chose there is taken out again."""
    own = () if hasattr(route, "routes") else getattr(route, "param_convertors", ())
    given = {str(value): name for name, value in (scope.get("path_params") or {}).items() if name not in own}
    if not given:
        return mounted
    return "/".join(f"{{{given[part]}}}" if part in given else part for part in mounted.split("/"))


def _looked_up(scope: Scope, root: str) -> str | None:
    """The template where the scope does not name the route, as Starlette before 1.0 does not; empty if none matched.

    An endpoint that one route alone leads to says which; of others it is asked once more what matches.
    """
    endpoint, router = scope.get("endpoint"), scope.get("router")
    if endpoint is None or router is None:
        return None if router is None else ""
    routes = getattr(router, "routes", ())
    known: dict[int, str | None]
    count, known = getattr(router, "_bearerwatch_templates", (-1, {}))
    if count != len(routes):  # on the router itself, so that it lives no longer than the endpoints do
        known = {}
        for route in routes:
            leads = id(getattr(route, "endpoint", route))
            known[leads] = None if leads in known else getattr(route, "path", None)
        router._bearerwatch_templates = (len(routes), known)  # noqa: SLF001
    if len(scope.get("root_path", "")) == len(root):
        path = known.get(id(endpoint))
        if path is not None:
            return path
    return _matched(routes, {**scope, "root_path": root, "path_params": {}})


_FULL = 2
"""The value of ``starlette.routing.Match.FULL``; ``PARTIAL`` is of another method."""


def _matched(routes: Iterable[Any], scope: Scope) -> str:
    """The templates, one after the other, of what matches *scope* among *routes* and in what they mount."""
    best, best_scope = None, scope
    for route in routes:
        match, child = route.matches(scope)
        if match.value and (best is None or match.value == _FULL):
            best, best_scope = route, {**scope, **child}
        if match.value == _FULL:
            break
    if best is None:
        return ""
    path: str = getattr(best, "path", "")  # a Host has none
    inner = getattr(best, "routes", None)
    return path + _matched(inner, best_scope) if inner else path

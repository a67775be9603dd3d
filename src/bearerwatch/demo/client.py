"""The demonstration's HTTP client, and its log: one line for every request, whatever became of it.

The log is the other side of the books. It is written by the client alone, from what reached the client, and
is what the events in the lake are counted against. It names tokens by label and never holds one.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import h11
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from bearerwatch.demo.wallet import Held

__all__ = ["Answer", "Api", "Client", "ClientLog", "Origin"]

_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Api:
    """One service under load."""

    service: str
    title: str
    port: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sends: the address a proxy would forward, and the user agent."""

    address: str
    agent: str


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False
    """Whether the whole response arrived, by HTTP's own rules."""

    def json(self) -> Any:
        """The body decoded."""
        return json.loads(self.body)


class ClientLog:
    """``client.jsonl``."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self.requests: Counter[str] = Counter()
        """Requests by label."""
        self.first: dict[str, float] = {}
        """When the first request of a label was sent, seconds since 1970."""

    def __call__(self, *, sent: float, label: str, answer: Answer, **facts: Any) -> None:
        """Write one line."""
        self.requests[label] += 1
        self.first[label] = min(sent, self.first.get(label, sent))
        line = {
            "sent": datetime.fromtimestamp(sent, UTC).isoformat(timespec="microseconds"),
            "label": label,
            "status": answer.status,
            "complete": answer.complete,
            **facts,
        }
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Client:
    """Sends requests as the reverse proxy in front of the services would.

    Each carries ``X-Forwarded-For``, and most an ``X-Request-ID`` given here; the others are named by the
    service itself.

    Args:
        log: where each request is written down.
    """

    def __init__(self, log: ClientLog) -> None:
        self.log = log

    async def __call__(
        self,
        api: Api,
        method: str,
        path: str,
        *,
        origin: Origin,
        label: str,
        held: Held | None = None,
        in_query: bool = False,
        body: Any = None,
        named: bool = True,
        cut_after: int | None = None,
        timeout: float = _TIMEOUT,  # noqa: ASYNC109 - the whole exchange, connection included
    ) -> Answer:
        """One request.

        Args:
            api: to which service.
            method: HTTP method.
            path: path and, if need be, query.
            origin: who sends.
            label: what it is part of: ``benign`` or an attack.
            held: the token to present, if any.
            in_query: present it as ``access_token`` in the query instead of the header.
            body: sent as JSON.
            named: give the request its id.
            cut_after: hang up after so many bytes of the body.
            timeout: seconds.

        Returns:
            what arrived; an error or a timeout is an answer that is not complete.
        """
        sent_id = secrets.token_hex(16) if named else None
        headers = _headers(api, origin, sent_id, None if in_query else held)
        target = path
        if held is not None and in_query:
            target += ("&" if "?" in path else "?") + "access_token=" + quote(held.token, safe="")
        payload = b"" if body is None else json.dumps(body).encode()
        if payload:
            headers.append(("Content-Type", "application/json"))
        headers += [("Content-Length", str(len(payload))), ("Connection", "close")]
        request = h11.Request(method=method, target=target, headers=headers)
        answer = Answer()
        error = None
        sent = time.time()
        try:
            async with asyncio.timeout(timeout):
                await _exchange(api.port, request, payload, answer, cut_after)
        except (OSError, TimeoutError, h11.RemoteProtocolError) as problem:
            error = type(problem).__name__
        self.log(
            sent=sent,
            label=label,
            answer=answer,
            service=api.service,
            method=method,
            path=path.partition("?")[0],
            request_id=answer.headers.get("x-request-id") or sent_id,
            client_ip=origin.address,
            token=held.label if held else None,
            cut="by the client" if error is None and not answer.complete else error,
        )
        return answer

    async def websocket(
        self, api: Api, path: str, *, origin: Origin, label: str, held: Held | None, messages: list[str]
    ) -> list[str] | None:
        """Open a websocket with the token in its address, as browsers must; send and receive, close.

        Returns:
            the replies; ``None`` if it was refused.
        """
        sent_id = secrets.token_hex(16)
        address = f"ws://127.0.0.1:{api.port}{path}"
        if held is not None:
            address += "?access_token=" + quote(held.token, safe="")
        answer = Answer()
        replies: list[str] | None = None
        error = None
        sent = time.time()
        try:
            async with (
                asyncio.timeout(_TIMEOUT),
                _socket(address, origin, sent_id) as connection,
            ):
                answer.status = 101
                response = connection.response
                if response is not None:
                    answer.headers = {name.lower(): value for name, value in response.headers.raw_items()}
                replies = []
                for message in messages:
                    await connection.send(message)
                    replies.append(str(await connection.recv()))
            answer.complete = True
        except InvalidStatus as refused:
            answer.status = refused.response.status_code
            answer.headers = {k.lower(): v for k, v in refused.response.headers.raw_items()}
            answer.complete = True
        except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as problem:
            error = type(problem).__name__
        self.log(
            sent=sent,
            label=label,
            answer=answer,
            service=api.service,
            method="GET",
            path=path,
            request_id=answer.headers.get("x-request-id") or sent_id,
            client_ip=origin.address,
            token=held.label if held else None,
            cut=error,
        )
        return replies


class _socket:  # noqa: N801 - reads as a call
    """A websocket connection whose library neither goes through a proxy nor retries."""

    def __init__(self, address: str, origin: Origin, request_id: str) -> None:
        self._connect = connect(
            address,
            additional_headers={"X-Forwarded-For": origin.address, "X-Request-ID": request_id},
            user_agent_header=origin.agent,
            proxy=None,
            compression=None,
            open_timeout=None,
        )
        self._connection: ClientConnection | None = None

    async def __aenter__(self) -> ClientConnection:
        self._connection = await self._connect
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()


def _headers(api: Api, origin: Origin, sent_id: str | None, held: Held | None) -> list[tuple[str, str]]:
    headers = [
        ("Host", f"127.0.0.1:{api.port}"),
        ("User-Agent", origin.agent),
        ("Accept", "application/json"),
        ("X-Forwarded-For", origin.address),
    ]
    if sent_id is not None:
        headers.append(("X-Request-ID", sent_id))
    if held is not None:
        headers.append(("Authorization", f"Bearer {held.token}"))
    return headers


async def _exchange(port: int, request: h11.Request, payload: bytes, answer: Answer, cut_after: int | None) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = h11.Connection(h11.CLIENT)
    try:
        out = connection.send(request) or b""
        if payload:
            out += connection.send(h11.Data(data=payload)) or b""
        out += connection.send(h11.EndOfMessage()) or b""
        writer.write(out)
        await writer.drain()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Response):
                answer.status = event.status_code
                answer.headers = {k.decode().lower(): v.decode("latin-1") for k, v in event.headers}
            elif isinstance(event, h11.Data):
                answer.body += event.data
                if cut_after is not None and len(answer.body) >= cut_after:
                    return
            elif isinstance(event, h11.EndOfMessage):
                answer.complete = True
                return
            elif isinstance(event, h11.ConnectionClosed):
                return
    finally:
        writer.close()
        with suppress(OSError):  # the server had hung up already
            await writer.wait_closed()

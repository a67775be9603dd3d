"""The client's log tells what reached the client, whatever the server did, and never a token."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.demo.client import Answer, Api, Client, ClientLog, Origin
from bearerwatch.demo.wallet import Held
from bearerwatch.testing import Sweep

ORIGIN = Origin("203.0.113.9", "test/1")
TOKEN = Held("bela's JWT", secrets.token_urlsafe(40))
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def says(*pieces: bytes, hang: float = 0.0) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        await asyncio.sleep(hang)

    return talk


def ask(tmp_path: Path, talk: Talk, **request: Any) -> tuple[Answer, dict[str, Any], list[bytes]]:
    """One request to a server that reads a request and then talks. Answer, log line, what the server read."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(x[15:]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0)
        heard.append(head + await reader.readexactly(length))
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def main() -> Answer:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            options = {"origin": ORIGIN, "label": "benign", "held": TOKEN, **request}
            return await Client(log)(Api("shop", "Shop", port), "GET", "/orders?x=1", **options)

    log = ClientLog(tmp_path / "client.jsonl")
    try:
        answer = asyncio.run(main())
    finally:
        log.close()
    [line] = (tmp_path / "client.jsonl").read_text().splitlines()
    assert Sweep({"t": TOKEN.token})([tmp_path]).clean
    return answer, json.loads(line), heard


def test_a_complete_answer(tmp_path: Path) -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-ID: from-server\r\n\r\n{}"

    answer, line, [heard] = ask(tmp_path, says(reply), named=False)

    assert (answer.status, answer.complete, answer.json()) == (200, True, {})
    assert line["request_id"] == "from-server"
    assert (line["status"], line["complete"], line["cut"]) == (200, True, None)
    assert (line["service"], line["method"], line["path"], line["token"]) == ("shop", "GET", "/orders", "bela's JWT")
    assert b"X-Forwarded-For: 203.0.113.9" in heard
    assert b"X-Request-ID" not in heard
    assert f"Authorization: Bearer {TOKEN.token}".encode() in heard


def test_a_request_is_named_and_the_name_kept_if_the_answer_has_none(tmp_path: Path) -> None:
    _, line, [heard] = ask(tmp_path, says(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"))

    assert f"X-Request-ID: {line['request_id']}".encode() in heard


def test_the_token_in_the_query_and_a_body(tmp_path: Path) -> None:
    reply = b"HTTP/1.1 204 No Content\r\n\r\n"

    answer, line, [heard] = ask(tmp_path, says(reply), in_query=True, body={"a": 1})

    assert answer.complete
    assert heard.startswith(f"GET /orders?x=1&access_token={TOKEN.token} HTTP/1.1".encode())
    assert heard.endswith(b'{"a": 1}')
    assert b"Authorization" not in heard
    assert line["path"] == "/orders"


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"",
        b"rubbish\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_cut(reply: bytes, tmp_path: Path) -> None:
    answer, line, _ = ask(tmp_path, says(reply))

    assert not answer.complete
    assert (line["complete"], bool(line["cut"])) == (False, True)


def test_hanging_up_in_the_middle(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    answer, line, _ = ask(tmp_path, says(head, *[b"64\r\n" + b"x" * 100 + b"\r\n"] * 20, hang=5), cut_after=150)

    assert (answer.complete, len(answer.body) >= 150) == (False, True)
    assert (line["status"], line["complete"], line["cut"]) == (200, False, "by the client")


def test_a_server_that_says_nothing(tmp_path: Path) -> None:
    answer, line, _ = ask(tmp_path, says(hang=5), timeout=0.2)

    assert (answer.status, line["status"], line["cut"]) == (None, None, "TimeoutError")


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    log = ClientLog(tmp_path / "client.jsonl")
    answer = asyncio.run(Client(log)(Api("shop", "Shop", 1), "GET", "/", origin=ORIGIN, label="attack: x"))
    log.close()

    assert not answer.complete
    assert json.loads((tmp_path / "client.jsonl").read_text())["cut"] == "ConnectionRefusedError"
    assert log.requests["attack: x"] == 1
    assert log.first["attack: x"] > 0


def test_no_repr_shows_a_token() -> None:
    assert TOKEN.token not in repr(TOKEN)

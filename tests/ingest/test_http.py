"""Events over HTTP: authenticated, bounded, durable before they are acknowledged, and counted once."""

from __future__ import annotations

import gzip
import http.client
import json
import secrets
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from bearerwatch.callers import is_loopback
from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest import http as http_module
from bearerwatch.ingest.body import MAX_BODY, MAX_LINES, BodyError, Inflater, LineSplitter
from bearerwatch.ingest.decode import Decoder
from bearerwatch.ingest.http import make_app
from bearerwatch.ingest.intake import Answer, Batch, Intake
from bearerwatch.ingest.keys import IngestKeys
from bearerwatch.ingest.lines import HEAD, MAX_LINE
from bearerwatch.ingest.listener import Listener
from bearerwatch.store import offsets
from bearerwatch.store.state import State, default_url

Line = Callable[..., bytes]


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    json: Any


class Site:
    """The HTTP side with a small collector behind it."""

    def __init__(self, state: State, *, keys: int = 2) -> None:
        self.secrets = {f"edge{n}": secrets.token_urlsafe(24) for n in range(keys)}
        self.state = state
        self.intake = Intake(state, max_bytes=60 << 20)
        self.kept: list[bytes] = []
        self.unready: str | None = None
        self.paused = False
        self._decoder = Decoder()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()
        app = make_app(IngestKeys(self.secrets), self.intake, lambda: self.unready)
        self.listener = Listener(app, "127.0.0.1", 0)
        self.listener.start()

    def _collect(self) -> None:
        while not self._stop.wait(0.005):
            if self.paused or not (batches := self.intake.poll()):
                continue
            lines: list[bytes] = []
            for batch in batches:
                decoded = self._decoder(batch.lines, datetime.now(UTC))
                lines += decoded.lines
                reasons = tuple(dict.fromkeys(r.reason for r in decoded.rejected))
                batch.answer = Answer(
                    len(decoded.lines), len(decoded.rejected), decoded.duplicates + batch.taken, reasons
                )
            with self.state.begin() as tx:
                self.intake.save(tx)
            self.kept += lines
            self.intake.committed()

    def send(
        self,
        method: str = "POST",
        path: str = "/v1/events",
        body: Any = None,
        key: str | None = "edge0",
        **headers: str,
    ) -> Reply:
        wanted = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            wanted.setdefault("authorization", f"Bearer {self.secrets.get(key, key)}")
        wanted.setdefault("content-type", "application/x-ndjson")
        connection = http.client.HTTPConnection(*self.listener.address, timeout=10)
        try:
            connection.request(method, path, body, wanted)
            answer = connection.getresponse()
            data = answer.read()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, json.loads(data) if data else None)
        finally:
            connection.close()

    def fresh(self) -> None:
        """As if it had just been started, with nothing in the database."""
        self.kept.clear()
        self.unready = self.intake.blocked = None
        self.paused = False
        with self.state.begin() as tx:
            offsets.forget(tx, offsets.load(tx))
        self.intake._offsets.clear()

    def close(self) -> None:
        self.intake.close("the collector is stopping")
        self.listener.stop()
        self._stop.set()
        self._thread.join()


@pytest.fixture(scope="module")
def one_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    state = State(default_url(tmp_path_factory.mktemp("site")))
    state.migrate()
    made = Site(state)
    yield made
    made.close()
    state.close()


@pytest.fixture
def site(one_site: Site) -> Site:
    one_site.fresh()
    return one_site


def is_problem(reply: Reply, status: int, word: str) -> bool:
    """Whether the reply is problem details (RFC 9457) with that status, saying *word*."""
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["status"] == status
    assert {"type", "title", "detail"} <= reply.json.keys()
    assert word in reply.json["detail"], reply.json["detail"]
    return True


class TestEvents:
    def test_accepted_when_durable(self, site: Site, line: Line) -> None:
        reply = site.send(body=b"\n".join(line(n) for n in range(3)))

        assert (reply.status, reply.json) == (202, {"accepted": 3, "rejected": 0})
        assert [json.loads(kept)["source"] for kept in site.kept] == ["http:edge0"] * 3

    def test_not_answered_before(self, site: Site, line: Line) -> None:
        site.paused = True
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(site.send, body=line())
            time.sleep(0.3)
            assert not waiting.done()
            site.paused = False
            assert waiting.result(5).status == 202

    def test_good_and_bad_lines(self, site: Site, line: Line) -> None:
        """Bad lines do not spoil the good; the answer says what is wrong with them."""
        body = b"\n".join((line(1), b"garbage", b"", line(2), line(3, status=7), b"x" * (MAX_LINE + 1)))
        reply = site.send(body=body)

        assert (reply.status, reply.json["accepted"], reply.json["rejected"]) == (202, 2, 3)
        assert any("HTTP status" in reason for reason in reply.json["reasons"])

    @pytest.mark.parametrize("how", ["header", "type", "members"])
    def test_gzip(self, site: Site, line: Line, how: str) -> None:
        body = gzip.compress(line(1) + b"\n") + (gzip.compress(line(2)) if how == "members" else b"")
        headers = {"content_type": "application/gzip"} if how == "type" else {"content_encoding": "gzip"}
        reply = site.send(body=body, **headers)
        assert (reply.status, reply.json["accepted"]) == (202, 2 if how == "members" else 1)

    def test_chunked(self, site: Site, line: Line) -> None:
        """A body of unknown length, cut in the middle of lines."""
        data = b"\n".join(line(n) for n in range(50))
        pieces = [data[at : at + 333] for at in range(0, len(data), 333)]
        assert site.send(body=iter(pieces)).json == {"accepted": 50, "rejected": 0}

    def test_many_at_once(self, site: Site, line: Line) -> None:
        with ThreadPoolExecutor(16) as pool:
            replies = list(pool.map(lambda n: site.send(body=line(n), key=f"edge{n % 2}"), range(64)))
        assert {reply.status for reply in replies} == {202}
        assert len(site.kept) == 64


class TestAuthentication:
    @pytest.mark.parametrize(
        "authorization",
        ["", "Bearer", "Bearer ", "Basic {}", "Bearer {}x", "Bearer x{}", "{}", "Bearer " + "x" * 5_000],
    )
    def test_refused(self, site: Site, line: Line, authorization: str) -> None:
        secret = site.secrets["edge0"]
        reply = site.send(body=line(), key=None, authorization=authorization.format(secret))

        assert is_problem(reply, 401, "BEARERWATCH_INGEST_KEYS")
        assert reply.headers["www-authenticate"].startswith("Bearer")
        assert secret not in str(reply)
        assert site.kept == []

    def test_no_header(self, site: Site) -> None:
        assert is_problem(site.send(body=b"x", key=None), 401, "Authorization: Bearer")

    def test_the_key_names_the_source(self, site: Site, line: Line) -> None:
        site.send(body=line(1), key="edge1")
        assert json.loads(site.kept[0])["source"] == "http:edge1"

    def test_without_any_key_nobody_may_send(self, state: State, line: Line) -> None:
        site = Site(state, keys=0)
        try:
            assert is_problem(site.send(body=line(), key="anything-at-all-1234"), 401, "no ingest key")
        finally:
            site.close()

    def test_keys_from_the_environment(self, tmp_path: Any) -> None:
        one, two = secrets.token_urlsafe(20), secrets.token_urlsafe(20)
        file = tmp_path / "keys"
        file.write_text(f"# comment\n\nedge:{one}\n")
        keys = IngestKeys.from_env({"BEARERWATCH_INGEST_KEYS": f"a:{two}", "BEARERWATCH_INGEST_KEYS_FILE": str(file)})

        assert (keys.name_of(f"Bearer {one}"), keys.name_of(f"bearer  {two}")) == ("edge", "a")
        assert one not in repr(keys)
        assert len(IngestKeys.from_env({})) == 0

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ("justasecretwithoutname", "name:secret"),
            ("a:short", "16 to 512"),
            ("a b:{}", "name:secret"),
            ("-x:{}", "1 to 64"),
            ("a:{0} a:{0}", "repeats a name"),
            ("a:{0} b:{0}", "same secret"),
        ],
    )
    def test_wrong_keys(self, text: str, word: str) -> None:
        secret = secrets.token_urlsafe(20)
        with pytest.raises(ConfigurationError, match=word) as caught:
            IngestKeys.from_env({"BEARERWATCH_INGEST_KEYS": text.format(secret)})
        assert secret not in str(caught.value)

    def test_wrong_key_file(self) -> None:
        with pytest.raises(ConfigurationError, match="cannot be read"):
            IngestKeys.from_env({"BEARERWATCH_INGEST_KEYS_FILE": "/nowhere/keys"})


class TestLimits:
    def test_body_too_large(self, site: Site) -> None:
        assert is_problem(site.send(body=b"x" * (MAX_BODY + 1)), 413, "several requests")

    def test_body_that_lies_about_its_length(self, site: Site) -> None:
        assert is_problem(site.send(body=iter([b"x" * (1 << 20)] * 6)), 413, "several requests")

    def test_bomb(self, site: Site) -> None:
        """What decompresses a thousandfold is stopped at 50 MB, holding no more of it than a line's head."""
        deflate = zlib.compressobj(9, wbits=31)
        piece = b"x" * (1 << 20)
        bomb = b"".join(deflate.compress(piece) for _ in range(60)) + deflate.flush()
        assert len(bomb) < MAX_BODY

        assert is_problem(site.send(body=bomb, content_encoding="gzip"), 413, "decompresses")
        assert site.send(body=bomb, content_encoding="gzip").status == 413  # the room was given back

    def test_too_many_lines(self, site: Site) -> None:
        assert is_problem(site.send(body=b"x\n" * (MAX_LINES + 1)), 413, "lines")

    @pytest.mark.parametrize("body", [b"not gzip at all", gzip.compress(b"x" * 1000)[:-9], b""])
    def test_broken_gzip(self, site: Site, body: bytes) -> None:
        assert is_problem(site.send(body=body, content_encoding="gzip"), 400, "gzip")

    def test_empty(self, site: Site) -> None:
        for body in (b"", b"\n\n \n"):
            assert is_problem(site.send(body=body), 400, "no event")

    def test_media_types(self, site: Site, line: Line) -> None:
        assert is_problem(site.send(body=line(), content_type="text/plain"), 415, "x-ndjson")
        assert is_problem(site.send(body=line(), content_encoding="br"), 415, "gzip")
        assert site.send(body=line(), content_type="application/x-ndjson; charset=utf-8").status == 202

    def test_other_paths_and_methods(self, site: Site) -> None:
        assert is_problem(site.send("GET"), 405, "POST /v1/events")
        assert is_problem(site.send("GET", "/secret"), 404, "GET /healthz")

    def test_slow_body(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http_module, "_READ_SECONDS", 0.2)

        def slow() -> Iterator[bytes]:
            yield b"{"
            time.sleep(0.5)
            yield b"}"

        assert is_problem(site.send(body=slow()), 408, "did not arrive")

    def test_endless_headers(self, site: Site) -> None:
        with socket.create_connection(site.listener.address, timeout=5) as sock:
            try:
                sock.sendall(b"POST /v1/events HTTP/1.1\r\n" + b"X: y\r\n" * 20_000)
                answer = sock.recv(4_096)
            except ConnectionError:
                answer = b"HTTP/1.1 400"
        assert b" 400" in answer.split(b"\r\n")[0] + b" 400" * (not answer)

    def test_full(self, site: Site, line: Line) -> None:
        """No room: the one who takes it hears 429, the others 503, and both when to come again."""
        site.intake.reserve("http:edge0", 60 << 20)
        own, other = site.send(body=line()), site.send(body=line(), key="edge1")
        site.intake.release("http:edge0", 60 << 20)

        assert is_problem(own, 429, "one request after another")
        assert is_problem(other, 503, "later")
        assert own.headers["retry-after"] == "1"
        assert other.headers["retry-after"] == "5"
        assert site.send(body=line()).status == 202

    def test_blocked(self, site: Site, line: Line) -> None:
        site.intake.blocked = "the disk is full: free some space"
        assert is_problem(site.send(body=line()), 503, "free some space")
        site.intake.blocked = None
        assert site.send(body=line()).status == 202

    def test_not_durable_in_time(self, site: Site, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
        """The client is told to come again; what it sent is kept once all the same."""
        monkeypatch.setattr(http_module, "_COMMIT_SECONDS", 0.1)
        site.paused = True
        sent = line()
        assert is_problem(site.send(body=sent), 503, "durable")
        site.paused = False
        assert site.send(body=sent).json == {"accepted": 0, "rejected": 0, "duplicates": 1}
        assert len(site.kept) == 1

    def test_clients_that_hang_up(self, site: Site, line: Line) -> None:
        """Their room is given back."""
        for _ in range(5):
            with socket.create_connection(site.listener.address, timeout=5) as sock:
                head = (
                    "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                    f"Authorization: Bearer {site.secrets['edge0']}\r\n\r\n"
                )
                sock.sendall(head.encode() + b"x" * 100_000)
        deadline = time.monotonic() + 5
        while site.intake._held:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert site.send(body=line()).status == 202

    def test_stopping(self, state: State, line: Line) -> None:
        """Who waits when the collector stops is told so, and so is who comes then."""
        site = Site(state)
        site.paused = True
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(site.send, body=line())
            while not site.intake._queue:
                time.sleep(0.01)
            site.intake.close("the collector is stopping: send it again")
            assert is_problem(waiting.result(5), 503, "stopping")
        assert is_problem(site.send(body=line()), 503, "stopping")
        site.close()


class TestResending:
    def test_the_same_again(self, site: Site, line: Line) -> None:
        body = b"".join(line(n) + b"\n" for n in range(3))
        headers = {"bearerwatch_segment": "app-1.jsonl", "bearerwatch_offset": "0"}

        assert site.send(body=body, **headers).json == {"accepted": 3, "rejected": 0}
        assert site.send(body=body, **headers).json == {"accepted": 0, "rejected": 0, "duplicates": 3}
        assert len(site.kept) == 3

    def test_overlap(self, site: Site, line: Line) -> None:
        """A sender that lost an answer starts over with more: only the new part counts."""
        parts = [line(n) + b"\n" for n in range(4)]
        headers = {"bearerwatch_segment": "app-1.jsonl", "bearerwatch_offset": "0"}
        site.send(body=b"".join(parts[:2]), **headers)
        reply = site.send(body=b"".join(parts), **headers)
        assert reply.json == {"accepted": 2, "rejected": 0, "duplicates": 2}

    def test_a_last_line_without_newline(self, site: Site, line: Line) -> None:
        body = line(1) + b"\n" + line(2)
        headers = {"bearerwatch_segment": "s", "bearerwatch_offset": "100"}
        assert site.send(body=body, **headers).json["accepted"] == 2
        assert site.send(body=body, **headers).json == {"accepted": 0, "rejected": 0, "duplicates": 2}

    def test_a_gap(self, site: Site, line: Line) -> None:
        """Sent out of order, the first part would look like a repeat of the second: refused, with the right offset."""
        part = line(1) + b"\n"
        site.send(body=part, bearerwatch_segment="s", bearerwatch_offset="0")
        reply = site.send(body=line(2), bearerwatch_segment="s", bearerwatch_offset="999")

        assert is_problem(reply, 409, str(len(part)))
        assert reply.headers["bearerwatch-offset"] == str(len(part))
        assert reply.json["expected"] == len(part)
        assert len(site.kept) == 1

    def test_amid_a_line(self, site: Site, line: Line) -> None:
        part = line(1) + b"\n"
        site.send(body=part, bearerwatch_segment="s", bearerwatch_offset="0")
        shifted = site.send(body=line(2) * 2, bearerwatch_segment="s", bearerwatch_offset="5")
        assert shifted.status == 409

    def test_survives_a_restart(self, state: State, line: Line) -> None:
        body = line(1) + b"\n"
        headers = {"bearerwatch_segment": "s", "bearerwatch_offset": "0"}
        for expected in ({"accepted": 1, "rejected": 0}, {"accepted": 0, "rejected": 0, "duplicates": 1}):
            site = Site(state)
            try:
                assert site.send(body=body, **headers).json == expected
            finally:
                site.close()

    def test_segments_of_other_keys_are_others(self, site: Site, line: Line) -> None:
        """A client cannot pass another's segment off as taken."""
        headers = {"bearerwatch_segment": "s", "bearerwatch_offset": "0"}
        for key in ("edge0", "edge1"):
            assert site.send(body=line(1), key=key, **headers).json["accepted"] == 1

    @pytest.mark.parametrize(
        "headers",
        [
            {"bearerwatch_segment": "s"},
            {"bearerwatch_offset": "0"},
            {"bearerwatch_segment": "../x y", "bearerwatch_offset": "0"},
            {"bearerwatch_segment": "s" * 201, "bearerwatch_offset": "0"},
            {"bearerwatch_segment": "s", "bearerwatch_offset": "-1"},
            {"bearerwatch_segment": "s", "bearerwatch_offset": "9" * 17},
            {"bearerwatch_segment": "s", "bearerwatch_offset": "1e3"},
        ],
    )
    def test_wrong_headers(self, site: Site, line: Line, headers: dict[str, str]) -> None:
        assert is_problem(site.send(body=line(), **headers), 400, "Bearerwatch-")

    def test_idle_segments_are_forgotten_when_there_are_many(
        self, state: State, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bearerwatch.ingest.intake._MAX_SEGMENTS", 5)
        intake = Intake(state)
        for number in range(8):
            splitter = LineSplitter("http:x", f"s{number}")
            splitter.feed(b"x\n")
            intake.put(Batch("http:x", splitter.lines, 2, segment=f"s{number}", end=2))
        intake.poll()
        with state.begin() as tx:
            intake.save(tx)
            assert intake.prune(tx) == 0, "all of them are in use"
        intake.committed()
        with state.begin() as tx:
            assert intake.prune(tx) == 8


class TestHealth:
    def test_healthz(self, site: Site) -> None:
        reply = site.send("GET", "/healthz", key=None)
        assert (reply.status, reply.json) == (200, {"status": "ok"})

    def test_readyz(self, site: Site) -> None:
        assert site.send("GET", "/readyz", key=None).status == 200
        site.unready = "the disk is full: free some space"
        assert is_problem(site.send("GET", "/readyz", key=None), 503, "free some space")


class TestParts:
    def test_splitter_is_indifferent_to_pieces(self) -> None:
        data = b"one\n\ntwo" + b"x" * 200_000 + b"\nthree\r\nfour"
        wanted: Any = None
        for size in (1_000_000, 65_536, 1_000, 7):
            splitter = LineSplitter("http:x", "s", 50)
            for at in range(0, len(data), size):
                splitter.feed(data[at : at + size])
            splitter.finish()
            found = [(raw.offset, raw.end, len(raw.line), raw.length) for raw in splitter.lines]
            wanted = wanted or found
            assert found == wanted
            assert splitter.end == 50 + len(data)
        assert [length for *_, length in wanted] == [-1, 200_003, -1, -1]
        assert wanted[1][:3] == (55, 50 + 200_009, HEAD)

    def test_inflater_byte_by_byte(self) -> None:
        data = secrets.token_bytes(5_000)
        inflater = Inflater()
        packed = gzip.compress(data[:2_000]) + gzip.compress(b"") + gzip.compress(data[2_000:])
        got = b"".join(piece for byte in packed for piece in inflater.feed(bytes([byte])))
        inflater.finish()
        assert got == data

    def test_inflater_refuses_trailing_garbage(self) -> None:
        inflater = Inflater()
        with pytest.raises(BodyError, match="not gzip"):
            list(inflater.feed(gzip.compress(b"x") + b"garbage"))

    @pytest.mark.parametrize(
        ("host", "loopback"),
        [
            ("127.0.0.1", True),
            ("127.9.9.9", True),
            ("::1", True),
            ("localhost", True),
            ("0.0.0.0", False),
            ("::", False),
            ("example.org", False),
        ],
    )
    def test_loopback(self, host: str, loopback: bool) -> None:
        assert is_loopback(host) is loopback

    def test_a_port_in_use(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            with pytest.raises(ConfigurationError, match="--listen .* cannot be bound"):
                Listener(None, "127.0.0.1", sock.getsockname()[1])

    @pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 0), ("127.0.0.1", 70_000), ("203.0.113.1", 0)])
    def test_wrong_addresses(self, host: str, port: int) -> None:
        with pytest.raises(ConfigurationError, match="--listen"):
            Listener(None, host, port)

"""From the facts of a request to one event, without any framework."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch import _guard
from bearerwatch.context import Decision, decide, live, note
from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.fingerprint import KeyRing, ring, use
from bearerwatch.known import MAX_KNOWN, NO_CREDENTIAL
from bearerwatch.observe import Exchange, Watch, new_id
from bearerwatch.settings import Settings
from bearerwatch.sinks._encode import encode_line
from desk import Desk, Kept, facts
from fakes import b64, jwt, leaked, opaque


@pytest.fixture
def desk() -> Desk:
    return Desk(service="shop")


# -- the event -----------------------------------------------------------------------------------------


def test_every_field_is_in_its_place() -> None:
    """The request path fills the event by position."""
    desk = Desk(service="shop", trusted_proxies="192.0.2.0/24")
    token = jwt({"sub": "u", "iss": "https://i.test", "azp": "web", "scope": "a b", "exp": 4_000_000_000})
    use(KeyRing([b"n" * 20, b"o" * 20]))
    desk.watch.memory._ring = ring()
    before = time.time()
    event = desk.serve(
        403,
        "/orders/{id}",
        'Bearer error="insufficient_scope", scope="c"',
        authorization=f"Bearer {token}",
        forwarded_for="203.0.113.9",
        user_agent="agent/1",
        request_id="given-by-proxy",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    ids = ring().identify(token, token.rpartition(".")[0])
    assert msgspec.structs.asdict(event) == {
        "kind": Kind.AUTH,
        "event_id": event.event_id,
        "ts": event.ts,
        "outcome": Outcome.INSUFFICIENT_SCOPE,
        "reason": None,
        "verified": False,
        "status": 403,
        "duration_us": event.duration_us,
        "count": 1,
        "detail": None,
        "service": "shop",
        "instance": desk.watch.settings.instance,
        "method": "GET",
        "route": "/orders/{id}",
        "path": "/orders/7",
        "token_id": ids.token_id,
        "token_id_prev": ids.token_id_prev,
        "presented_id": ids.presented_id,
        "scheme": "bearer",
        "token_kind": "jwt",
        "token_source": "header",
        "subject_id": ring().pseudonym("sub", "https://i.test\0u"),
        "client_id": "web",
        "issuer": "https://i.test",
        "scopes": "a b",
        "required_scopes": "c",
        "expires_at": 4_000_000_000,
        "client_ip": "203.0.113.9",
        "peer_ip": "192.0.2.9",
        "user_agent": "agent/1",
        "country": None,
        "city": None,
        "lat": None,
        "lon": None,
        "asn": None,
        "request_id": "given-by-proxy",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": None,
        "parent_request_id": "b7ad6b7169203331",
    }
    assert event.ts.tzinfo is UTC
    assert before - 1 < event.ts.timestamp() < time.time() + 1
    assert isinstance(event.duration_us, int)


def test_only_the_first_finish_counts(desk: Desk) -> None:
    exchange = desk.watch.open(facts())
    exchange.finish(401)
    exchange.finish(200)
    exchange.finish(500, raised=True)
    exchange.end()
    exchange.end()
    assert [event.status for event in desk.kept.events] == [401]


def test_threads_that_finish_together_leave_one_event(desk: Desk) -> None:
    for _ in range(50):
        exchange = desk.watch.open(facts(authorization=f"Bearer {opaque()}"))
        start = threading.Barrier(3)

        def finish(exchange: Exchange = exchange, start: threading.Barrier = start) -> None:
            start.wait()
            exchange.finish(200)
            exchange.release()

        threads = [threading.Thread(target=finish) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        exchange.leave()
    assert len(desk.kept.events) == 50
    assert live.values() == ()


def test_a_decision_wins_and_its_subject_is_a_pseudonym(desk: Desk) -> None:
    exchange = desk.watch.open(facts(authorization=f"Bearer {opaque()}"))
    exchange.decide(Decision(Outcome.REVOKED, reason="unknown_token", subject="alice", client_id="cli", scopes="x"))
    exchange.decide(Decision(Outcome.SUCCESS))
    exchange.finish(401)
    exchange.end()
    (event,) = desk.kept.events
    assert (event.outcome, event.reason, event.verified) == (Outcome.REVOKED, "unknown_token", False)
    assert (event.client_id, event.scopes) == ("cli", "x")
    assert event.subject_id == ring().pseudonym("sub", "\0alice")


@pytest.mark.parametrize("plain", [True, False])
def test_a_decision_takes_what_applications_have(plain: bool) -> None:
    """Numbers and UUIDs for ids, lists for scopes; an event the collector takes comes of it."""
    desk = Desk(plain_subjects=plain)
    exchange = desk.watch.open(facts(authorization=f"Bearer {opaque()}"))
    secret = jwt()
    loose: Any = {"subject": 42, "client_id": uuid.UUID(int=7), "scopes": ["a", "b"], "reason": 5}
    decide(Outcome.FORBIDDEN, required_scopes=f"{secret} " + "z" * 600, **loose)
    exchange.finish(403)
    exchange.end()
    (event,) = desk.kept.events
    assert msgspec.json.decode(encode_line(event), type=AuthEvent) == event
    assert event.subject_id == ("42" if plain else ring().pseudonym("sub", "\0" + "42"))
    assert (event.client_id, event.scopes, event.reason) == (str(uuid.UUID(int=7)), "a b", "5")
    assert len(event.required_scopes or "") <= 512
    assert not leaked(secret, encode_line(event))


def test_a_query_without_a_token_changes_nothing(desk: Desk) -> None:
    token = opaque()
    exchange = desk.watch.open(facts(authorization=f"Bearer {token}", query="page=2&q=shoes"))
    assert live.values() == (token,)
    exchange.finish(200)
    exchange.end()
    assert (desk.kept.events[0].token_source, desk.kept.events[0].reason) == ("header", None)


def test_plain_subjects_are_redacted_and_cut() -> None:
    desk = Desk(plain_subjects=True)
    assert desk.serve(authorization=f"Bearer {jwt({'sub': 'alice'})}").subject_id == "alice"
    inner = jwt()
    event = desk.serve(authorization=f"Bearer {jwt({'sub': inner, 'iss': f'https://{inner}'})}")
    assert not leaked(inner, encode_line(event))
    assert len(desk.serve(authorization=f"Bearer {jwt({'sub': 's' * 256})}").subject_id or "") == 128


@pytest.mark.parametrize(
    ("outcome", "status", "verified"),
    [("success", 200, True), ("forbidden", 403, True), ("error", 500, True), ("invalid", 401, False)],
)
def test_who_vouches_for_a_token_makes_it_verified(desk: Desk, outcome: str, status: int, verified: bool) -> None:
    exchange = desk.watch.open(facts(authorization=f"Bearer {opaque()}"))
    note(verified=True, subject="42")
    exchange.finish(status)
    exchange.end()
    (event,) = desk.kept.events
    assert (event.outcome, event.verified) == (Outcome(outcome), verified)
    assert (event.subject_id == ring().pseudonym("sub", "\x0042")) == verified


# -- ids -----------------------------------------------------------------------------------------------


def test_ids_are_version_7_uuids_in_order() -> None:
    now = int(time.time() * 1000)
    drawn = [new_id(now) for _ in range(5000)]
    assert len(set(drawn)) == 5000
    for text in drawn[:50]:
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 7, uuid.RFC_4122)
        assert read.int >> 80 == now
    assert new_id(now) < new_id(now + 1)


@given(st.integers(0, 2**48 - 1))
def test_an_id_holds_any_time(ms: int) -> None:
    assert uuid.UUID(new_id(ms)).int >> 80 == ms


def test_a_seed_of_the_application_does_not_repeat_ids() -> None:
    random.seed(7)
    first = new_id(1)
    random.seed(7)
    assert new_id(1) != first


FORK = r"""
import os, sys
from bearerwatch.fingerprint import KeyRing, use
use(KeyRing([b"a key for the forked process"]))
from bearerwatch.observe import Watch, new_id
from bearerwatch.settings import Settings
watch = Watch(Settings(service="app"), [])
for _ in range(2):
    if os.fork() == 0:
        os.write(1, f"{new_id(1)} {watch.instance}\n".encode())
        os._exit(0)
os.wait(); os.wait()
print(new_id(1), watch.instance)
"""


def test_forked_processes_draw_other_ids_and_have_other_names() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=20, check=True)
    ids, names = zip(*(line.split() for line in done.stdout.splitlines()), strict=True)
    assert len(set(ids)) == 3
    assert len(set(names)) == 3


# -- the request id ------------------------------------------------------------------------------------


def test_a_request_id_is_taken_from_a_trusted_proxy_alone() -> None:
    given = "0198c0de-0000-7000-8000-000000000001"
    assert Desk(trusted_proxies="192.0.2.9").serve(request_id=given).request_id == given
    for settings in ({}, {"trusted_proxies": "10.0.0.0/8"}):
        event = Desk(**settings).serve(request_id=given)
        assert event.request_id == event.event_id != given


@pytest.mark.parametrize(
    "bad", ["short", "x" * 129, "a b c d e f", "line\nbreak-id", "\x1b[31mred-id", "", "ünïcödé-id"]
)
def test_a_request_id_that_could_do_harm_is_not_taken(bad: str) -> None:
    event = Desk(trusted_proxies="192.0.2.9").serve(request_id=bad)
    assert event.request_id == event.event_id


def test_a_token_is_no_request_id() -> None:
    token = opaque()
    event = Desk(trusted_proxies="192.0.2.9").serve(request_id=token, authorization=f"Bearer {token}")
    assert event.request_id == event.event_id


# -- what is read is remembered, but not the token -----------------------------------------------------


@pytest.mark.parametrize("token", [opaque(), jwt()], ids=["opaque", "jwt"])
@pytest.mark.parametrize(
    "given", [{"authorization": "Bearer {}"}, {"query": "access_token={}"}], ids=["header", "query"]
)
def test_what_a_credential_is_is_remembered_without_it(desk: Desk, token: str, given: dict[str, str]) -> None:
    filled = {name: value.format(token) for name, value in given.items()}
    first, again = (desk.serve(**filled) for _ in range(2))
    assert first.token_id == again.token_id == ring().token_id(token)
    assert len(desk.watch.memory._credentials) == 1
    assert not leaked(token, repr(desk.watch.memory._credentials).encode())
    assert not leaked(token, repr((vars(desk.watch), vars(desk.watch.memory))).encode())


def test_a_query_token_is_not_mistaken_for_a_header(desk: Desk) -> None:
    token = opaque()
    desk.serve(query=f"access_token={token}")
    event = desk.serve(401, authorization=token)
    assert (event.token_source, event.scheme, event.outcome) == ("header", None, Outcome.MISSING)


def test_the_memory_is_bounded(desk: Desk) -> None:
    for number in range(MAX_KNOWN + 50):
        desk.watch.memory.header(f"Bearer token-number-{number:010}")
    assert len(desk.watch.memory._credentials) <= MAX_KNOWN


def test_what_a_library_says_of_a_holder_is_read_once_and_not_kept_as_said(desk: Desk) -> None:
    memory = desk.watch.memory
    known, other = (memory.token(jwt({"iss": issuer})) for issuer in ("https://i.test", "https://other.test"))
    said = Decision(Outcome.SUCCESS, subject="maria@example.org", client_id="web", scopes="read write")
    first = memory.holder(known, said, "read", alone=True)
    assert memory.holder(known, said, "read", alone=True) is first
    assert (first.client_id, first.scopes, first.required_scopes) == ("web", "read write", "read")
    assert first.subject_id == memory.subject("maria@example.org", "https://i.test")
    assert not leaked("maria@example.org", repr(vars(memory)).encode())
    others = [
        memory.holder(known, said, "write", alone=True),
        memory.holder(other, said, "read", alone=True),
        memory.holder(known, Decision(Outcome.SUCCESS, client_id="web"), "read", alone=True),
        memory.holder(known, Decision(Outcome.SUCCESS, subject="None"), None, alone=True),
        memory.holder(known, Decision(Outcome.SUCCESS), "None", alone=True),
    ]
    assert len({(one.subject_id, one.client_id, one.scopes, one.required_scopes) for one in [first, *others]}) == 6


def test_what_quotes_another_token_of_the_request_is_redacted_each_time(desk: Desk) -> None:
    known, words = desk.watch.memory.token(jwt()), "plain words that are a token"
    said = Decision(Outcome.SUCCESS, scopes=words)
    assert desk.watch.memory.holder(known, said, None, alone=True).scopes == words
    ticket = live.add(words)
    try:
        assert desk.watch.memory.holder(known, said, None, alone=False).scopes != words
    finally:
        live.discard(ticket)


def test_without_a_credential_no_holder_is_remembered(desk: Desk) -> None:
    """A cookie's, say: the next request may be somebody else's."""
    for subject in ("41", "42"):
        said = Decision(Outcome.SUCCESS, subject=subject)
        holder = desk.watch.memory.holder(NO_CREDENTIAL, said, None, alone=True)
        assert holder.subject_id == desk.watch.memory.subject(subject)
    assert not desk.watch.memory._holders


def test_holders_remembered_are_bounded(desk: Desk) -> None:
    memory = desk.watch.memory
    for number in range(MAX_KNOWN + 50):
        memory.holder(
            memory.token(f"token-number-{number:010}"), Decision(Outcome.SUCCESS, subject="1"), None, alone=True
        )
    assert 0 < len(memory._holders) <= MAX_KNOWN


def test_the_same_credential_under_another_scheme_is_another(desk: Desk) -> None:
    token = opaque()
    assert desk.serve(authorization=f"Bearer {token}").scheme == "bearer"
    assert desk.serve(authorization=f"Token {token}").scheme == "token"
    assert desk.serve(authorization=f"Basic {token}").token_id is None


# -- where a token may be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "source", "reason"),
    [
        ({"authorization": "Bearer {a}"}, "header", None),
        ({"authorization": "bearer\t{a}"}, "header", None),
        ({"authorization": "  Bearer   {a}  "}, "header", None),
        ({"query": "access_token={a}"}, "query", "query_token"),
        ({"query": "x=1&access_token={a}&access_token="}, "query", "query_token"),
        ({"query": "access_token={a}&access_token={b}"}, "query", "multiple_tokens"),
        ({"other": ("subprotocol", "{a}")}, "subprotocol", None),
        ({"authorization": "Bearer {a}", "query": "access_token={b}"}, "header", "multiple_tokens"),
        ({"authorization": "Bearer {a}", "several": "Bearer {b}"}, "header", "multiple_tokens"),
        ({"authorization": "Bearer {a}", "other": ("subprotocol", "{b}")}, "header", "multiple_tokens"),
        ({"query": "access_token={a}", "other": ("subprotocol", "{b}")}, "query", "multiple_tokens"),
        ({"authorization": "", "query": "access_token={a}"}, "query", "query_token"),
    ],
)
def test_a_token_is_found_in_every_place_and_every_one_is_live(
    desk: Desk, given: dict[str, Any], source: str, reason: str | None
) -> None:
    from bearerwatch import redact_text

    tokens = {"a": opaque(), "b": opaque()}

    def fill(value: Any) -> Any:
        return tuple(map(fill, value)) if isinstance(value, tuple) else value.format(**tokens)

    filled = {name: fill(value) for name, value in given.items()}
    exchange = desk.watch.open(facts(**filled))
    used = [token for name, token in tokens.items() if "{" + name + "}" in str(given)]
    for token in used:
        assert redact_text(f"got {token}") == f"got [token {ring().token_id(token)}]"
    exchange.finish(200)
    exchange.end()
    (event,) = desk.kept.events
    assert (event.token_source, event.reason) == (source, reason)
    assert event.token_id == ring().token_id(tokens["a"])
    assert not [piece for token in used for piece in leaked(token, encode_line(event))]
    assert live.values() == ()


def test_an_empty_header_is_none(desk: Desk) -> None:
    for header in ("", "   ", "\t"):
        event = desk.serve(401, authorization=header)
        assert (event.outcome, event.reason, event.scheme) == (Outcome.MISSING, None, None)


def test_many_tokens_do_not_fill_the_live_set(desk: Desk) -> None:
    many = ", ".join(f"Bearer {opaque()}" for _ in range(3000))
    exchange = desk.watch.open(
        facts(
            authorization="Bearer x",
            several=many,
            query="access_token=" + "&access_token=".join(opaque() for _ in range(3000)),
        )
    )
    assert len(live.values()) < 40
    exchange.end()
    assert live.values() == ()


# -- free text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 11, 12, 13, 250, 500, 513, 4090, 4096, 4097, 5000, 100_000])
def test_long_text_is_cut_without_leaving_a_piece_of_a_token(desk: Desk, length: int) -> None:
    token = jwt()
    for filler in ("/a", "/" + "a" * 400, "x"):
        text = (filler * (length // len(filler) + 1))[:length]
        event = desk.serve(path=f"{text}/{token}", user_agent=f"{text} {token}", method=f"{text[:20]}{token}")
        assert not leaked(token, encode_line(event))
        assert len(event.path or "") <= 512
        assert len(event.user_agent or "") <= 256
        assert len(event.method or "") <= 16 + 60


@pytest.mark.parametrize("alphabet", ["abc/", "p@ss!wörd", "ab c", "a.", "%2F", "日本語/"])
def test_a_live_token_in_the_path_is_redacted_whatever_it_is_made_of(desk: Desk, alphabet: str) -> None:
    token = (alphabet * 12)[:30]
    event = desk.serve(path=f"/reset/{token}", authorization=f"Bearer {token}", user_agent=f"a {token}")
    assert not leaked(token.strip(), encode_line(event).decode())
    assert not leaked(token.strip(), event.path or "", event.user_agent or "")


def test_a_user_agent_seen_before_its_token_was_known_does_not_leak(desk: Desk) -> None:
    token = opaque()
    desk.serve(user_agent=f"agent {token}")
    event = desk.serve(user_agent=f"agent {token}", authorization=f"Bearer {token}")
    assert not leaked(token, encode_line(event))


# -- sinks ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("swallowing")
def test_a_sink_that_fails_harms_neither_the_request_nor_the_next_sink(capfd: pytest.CaptureFixture[str]) -> None:
    class Failing:
        def send(self, event: AuthEvent) -> None:
            raise OSError("no space for " + repr(event))

    kept = Kept()
    watch = Watch(Settings(), [Failing(), kept, Failing()])
    for _ in range(3):
        exchange = watch.open(facts())
        exchange.finish(200)
        exchange.end()
    assert len(kept.events) == 3
    assert _guard.counts() == {"a sink": 6}
    assert capfd.readouterr().err.count("\n") == 1


@pytest.mark.usefixtures("swallowing")
def test_an_event_that_cannot_be_made_is_counted(desk: Desk) -> None:
    exchange = desk.watch.open(facts(path=None))
    exchange.finish(200)
    exchange.end()
    assert desk.kept.events == []
    assert _guard.counts() == {"making an event": 1}


# -- anything ------------------------------------------------------------------------------------------

TEXT = (
    st.text(st.characters(), max_size=60)
    | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1"))
    | st.sampled_from(
        [
            "\x00",
            "\r\nSet-Cookie: a=b",
            "\x1b[2J",
            "\ud800",
            "x" * 5000,
            "(" * 3000,
            "%" * 999,
            "Bearer",
            "Bearer ",
            ",",
            "eyJ" * 900,
        ]
    )
)
CREDENTIAL = st.one_of(
    TEXT,
    st.builds(opaque, st.integers(1, 90)),
    st.just(None).map(lambda _: jwt()),
    st.builds(
        lambda header, claims, tail: f"{b64(header)}.{b64(claims)}.{tail}",
        st.sampled_from(
            [b'{"alg":"none"}', b'{"alg":"NONE","typ":1}', b'{"alg":null}', b"{" * 2000, b'{"alg":"\xff"}', b"[]"]
        ),
        st.sampled_from(
            [
                b'{"exp":1e400}',
                b'{"exp":NaN}',
                b'{"exp":-1e999}',
                b'{"exp":"x","sub":[1],"iss":{},"scope":[[]]}',
                b"[" * 4000,
                b'{"sub":"\\ud800"}',
                b'{"iss":"\\u0000\\u001b"}',
                b'{"exp":' + b"9" * 5000 + b"}",
                b"",
                b"\xff",
            ]
        ),
        st.text("abcdefghij-_", max_size=20),
    ),
)
HEADER = st.builds(
    lambda lead, credential: lead + credential,
    st.sampled_from(["Bearer ", "bearer  ", "BEARER\t", "Token ", "Basic ", "DPoP ", "", " ", "Bearer,"]),
    CREDENTIAL,
)
MAYBE = st.none() | TEXT


@given(
    given=st.fixed_dictionaries(
        {
            "method": TEXT,
            "path": TEXT,
            "query": TEXT | CREDENTIAL.map(lambda token: f"a=b&access_token={token}"),
            "peer_ip": TEXT | st.just("192.0.2.9"),
            "authorization": st.none() | HEADER,
            "several": st.none() | HEADER,
            "forwarded_for": MAYBE,
            "forwarded": MAYBE,
            "user_agent": MAYBE,
            "request_id": MAYBE,
            "traceparent": MAYBE,
            "other": st.none() | st.tuples(st.just("subprotocol"), CREDENTIAL),
        }
    ),
    status=st.integers(100, 599),
    route=MAYBE,
    challenge=MAYBE,
    trusted=st.booleans(),
)
def test_any_request_leaves_one_event_of_one_line(
    given: dict[str, Any], status: int, route: str | None, challenge: str | None, trusted: bool
) -> None:
    desk = Desk(trusted_proxies="0.0.0.0/0 ::/0" if trusted else [])
    event = desk.serve(status, route, challenge, **given)
    assert len(desk.kept.events) == 1
    line = encode_line(event)
    assert line.count(b"\n") == 1
    decoded = msgspec.json.decode(line, type=AuthEvent)
    assert decoded.event_id == event.event_id
    assert decoded.outcome is event.outcome
    assert len(line) < 8000


@given(
    token=st.builds(opaque, st.integers(16, 90)) | st.just(0).map(lambda _: jwt()),
    before=TEXT,
    after=TEXT,
    where=st.sampled_from(["authorization", "query", "other", "several", "schemeless", "basic", "quoted", "two"]),
)
def test_no_piece_of_a_credential_is_in_the_event(token: str, before: str, after: str, where: str) -> None:
    """Not where it was sent, nor where else the same request has it."""
    desk = Desk(trusted_proxies="192.0.2.9")
    places: dict[str, dict[str, Any]] = {
        "authorization": {"authorization": f"Bearer {token}"},
        "query": {"query": f"access_token={token}"},
        "other": {"other": ("subprotocol", token)},
        "several": {"authorization": "Bearer x", "several": f"Bearer {token}"},
        "schemeless": {"authorization": token},
        "basic": {"authorization": f"Basic {token}"},
        "quoted": {"authorization": f'Bearer "{token}"'},
        "two": {"authorization": f"Bearer {opaque()}, Bearer {token}"},
    }
    echo = {"path": f"/{before}/{token}/{after}", "user_agent": f"{before} {token} {after}", "request_id": token[:128]}
    event = desk.serve(401, **places[where], **echo)
    assert not leaked(token, encode_line(event))


# -- clocks --------------------------------------------------------------------------------------------


def test_a_clock_before_the_first_of_january_1970_is_survived(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, swallowing: Callable[[], Iterator[None]]
) -> None:
    monkeypatch.setattr("bearerwatch.observe.time", lambda: 0.0)
    assert desk.serve().ts == datetime(1970, 1, 1, tzinfo=UTC)


def test_the_process_is_named_in_the_event(desk: Desk) -> None:
    assert (desk.serve().instance or "").endswith(f"-{os.getpid()}")

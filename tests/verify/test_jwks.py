"""Keys that an issuer publishes, from a real server: fetched in bounds, kept, and never missed where they were there."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.errors import ConfigurationError
from bearerwatch.event import Outcome
from bearerwatch.verify._cached import CachedKeys
from bearerwatch.verify.jwks import Jwks
from bearerwatch.verify.jwt import JwtVerifier
from bearerwatch.verify.key import Key
from bearerwatch.verify.keys import KeysUnavailable, published
from fakes import b64, leaked, opaque
from issuers import AUDIENCE, ISSUER, issuer
from keyserver import KeyServer, drip, key_server

Find = Callable[[Jwks, str | None], Sequence[Key]]


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server() as one:
        one.answers["/keys"] = {"keys": [issuer().jwk]}
        yield one


@pytest.fixture(params=["sync", "async"])
def find(request: pytest.FixtureRequest) -> Find:
    if request.param == "sync":
        return lambda jwks, kid: jwks.find(kid)
    return lambda jwks, kid: asyncio.run(jwks.afind(kid))


def until(true: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def kids(keys: Sequence[Key]) -> list[str | None]:
    return [key.kid for key in keys]


def test_keys_are_fetched_once(server: KeyServer, find: Find) -> None:
    jwks = Jwks(server.url())
    assert server.asked == []
    assert [kids(find(jwks, "k1")) for _ in range(50)] == [["k1"]] * 50
    assert server.asked == ["/keys"]
    assert jwks.state[:2] == (1, {})


def test_many_at_once_ask_once(server: KeyServer) -> None:
    started = threading.Event()

    def slowly(handler: Any) -> None:
        started.wait(5)
        server.answers["/keys"] = {"keys": [issuer().jwk]}
        handler.do_GET()
        server.asked.pop()

    server.answers["/keys"] = slowly
    jwks = Jwks(server.url())
    found: list[list[str | None]] = []
    threads = [threading.Thread(target=lambda: found.append(kids(jwks.find("k1")))) for _ in range(20)]
    for thread in threads:
        thread.start()
    started.set()

    async def all_at_once() -> list[Sequence[Key]]:
        return await asyncio.gather(*(jwks.afind("k1") for _ in range(20)))

    found += [kids(one) for one in asyncio.run(all_at_once())]
    for thread in threads:
        thread.join()
    assert found == [["k1"]] * 40
    assert server.asked == ["/keys"]


def test_a_new_key_is_found_and_made_up_ones_are_asked_about_once(server: KeyServer, find: Find) -> None:
    jwks = Jwks(server.url())
    find(jwks, "k1")
    server.answers["/keys"] = {"keys": [issuer().jwk, issuer("ES256", "k2").jwk]}
    assert kids(find(jwks, "k2")) == ["k2"]
    for number in range(200):
        assert find(jwks, f"made up {number}") == ()
    assert len(server.asked) == 2


def test_ten_thousand_unknown_kids_a_second_are_a_bounded_number_of_requests(server: KeyServer) -> None:
    jwks = Jwks(server.url(), cooldown=0.5)
    verifier = JwtVerifier(issuer=ISSUER, audience=AUDIENCE, algorithms=("ES256",), keys=jwks)
    good = issuer().token()
    assert verifier(good).accepted
    _, payload, signature = good.split(".")
    before = len(server.asked)
    began = time.monotonic()
    reasons = set()
    for number in range(10_000):
        kid = b64(f'{{"alg":"ES256","kid":"{number}","typ":"at+jwt"}}'.encode())
        reasons.add(verifier(f"{kid}.{payload}.{signature}").reason)
    took = time.monotonic() - began
    assert reasons == {"unknown_kid"}
    assert len(server.asked) - before <= 1 + took / 0.5
    assert len(server.asked) > before
    assert verifier(good).accepted


def test_while_a_slow_server_is_asked_about_a_made_up_kid_the_others_go_on(server: KeyServer) -> None:
    jwks = Jwks(server.url(), timeout=20)
    jwks.find("k1")
    release = threading.Event()

    def slowly(handler: Any) -> None:
        release.wait(20)
        handler.send_error(500)

    server.answers["/keys"] = slowly
    refused: list[float] = []

    def unknown() -> None:
        try:
            jwks.find("made up")
        except KeysUnavailable as error:
            refused.append(error.retry_after)

    threads = [threading.Thread(target=unknown) for _ in range(40)]
    for thread in threads:
        thread.start()
    until(lambda: len(refused) == 24, 15)  # no more than sixteen wait
    assert kids(jwks.find("k1")) == ["k1"]
    assert sum(thread.is_alive() for thread in threads) == 16
    release.set()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 2


def test_keys_are_fetched_anew_in_the_background(server: KeyServer, find: Find) -> None:
    jwks = Jwks(server.url(), ttl=0.5, min_ttl=0.5)
    find(jwks, "k1")
    server.answers["/keys"] = {"keys": [issuer("ES256", "k2").jwk]}
    until(lambda: len(server.asked) >= 2)
    until(lambda: kids(find(jwks, None)) == ["k2"])
    assert find(jwks, "k1") == ()


def test_nobody_is_asked_for_keys_that_nobody_uses(server: KeyServer) -> None:
    jwks = Jwks(server.url(), ttl=0.1, min_ttl=0.1)
    jwks.find("k1")
    until(lambda: jwks._thread is None)
    asked = len(server.asked)
    time.sleep(0.3)
    assert len(server.asked) == asked <= 3
    assert kids(jwks.find("k1")) == ["k1"]


def test_what_is_forgotten_is_fetched_no_more(server: KeyServer) -> None:
    jwks = Jwks(server.url(), ttl=0.2, min_ttl=0.2)
    jwks.find("k1")
    thread = jwks._thread
    del jwks
    gc.collect()
    assert thread is not None
    until(lambda: not thread.is_alive())


@pytest.mark.parametrize(
    ("control", "age", "low", "high"),
    [
        (None, None, 500, 600),
        ("public, max-age=120", None, 100, 120),
        ("max-age=120", "100", 30, 30),
        ("max-age=0", None, 30, 30),
        ("no-store", None, 30, 30),
        ("max-age=999999999", None, 80_000, 86_400),
        ("max-age=-1, nonsense", "x", 500, 600),
        ('max-age="120"', None, 100, 120),
    ],
)
def test_the_issuer_says_how_long_within_bounds(
    server: KeyServer, control: str | None, age: str | None, low: float, high: float
) -> None:
    server.headers = {name: value for name, value in (("Cache-Control", control), ("Age", age)) if value is not None}
    jwks = Jwks(server.url())
    jwks.find("k1")
    kept = jwks._cached._expires_at - jwks._cached.loaded_at
    assert low <= round(kept) <= high


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (500, "status"),
        (404, "status"),
        (b"<html>", "malformed"),
        (b"", "malformed"),
        ([], "malformed"),
        ({"keys": {}}, "malformed"),
        ({"keys": []}, "no_keys"),
        ({"keys": [{"kty": "oct", "k": "AA"}, 7]}, "no_keys"),
        (b'{"keys":[' + b" " * (1 << 20) + b"]}", "size"),
        (drip(b"HTTP/1.1 200 OK\r\n", 1), "unreachable"),
        (drip(b"X-Slow: loris\r\n"), "timeout"),
        (drip(b"H"), "timeout"),
        (lambda handler: handler.wfile.write(b"\x00" * 100), "unreachable"),
    ],
)
def test_where_there_are_no_keys_that_is_said_and_not_held_against_the_token(
    server: KeyServer, find: Find, answer: Any, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers["/keys"] = answer
    jwks = Jwks(server.url(), timeout=0.25)
    began = time.monotonic()
    with pytest.raises(KeysUnavailable) as unavailable:
        find(jwks, "k1")
    assert time.monotonic() - began < 2
    until(lambda: jwks.state.failure is not None)
    assert jwks.state.failure == failure
    assert 0 < unavailable.value.retry_after <= 60
    verdict = JwtVerifier(issuer=ISSUER, audience=AUDIENCE, algorithms=("ES256",), keys=jwks)(issuer().token())
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, "keys_unavailable")
    assert len(server.asked) <= 2  # asked anew only a while after it has failed


def test_slow_headers_take_no_longer_than_is_allowed(server: KeyServer) -> None:
    """Each byte comes in time, and the whole never does."""

    def slow(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        drip(b"X-Slow: loris\r\n")(handler)

    server.answers["/keys"] = slow
    jwks = Jwks(server.url(), timeout=0.5)
    began = time.monotonic()
    with pytest.raises(KeysUnavailable):
        jwks.find("k1")
    until(lambda: jwks.state.failure == "timeout", 2)
    assert time.monotonic() - began < 1.5


def test_redirects_are_not_followed(server: KeyServer) -> None:
    server.answers["/elsewhere"] = {"keys": [issuer().jwk]}

    def away(handler: Any) -> None:
        handler.send_response(302)
        handler.send_header("Location", server.url("/elsewhere"))
        handler.end_headers()

    server.answers["/keys"] = away
    jwks = Jwks(server.url())
    assert not jwks.warm()
    assert jwks.state.failure == "redirect"
    assert server.asked == ["/keys"]


def test_a_compressed_answer_is_not_read(server: KeyServer) -> None:
    server.headers = {"Content-Encoding": "gzip"}
    jwks = Jwks(server.url())
    assert not jwks.warm()
    assert jwks.state.failure == "encoding"


def test_old_keys_serve_while_the_server_is_down_up_to_a_bound(
    server: KeyServer, find: Find, caplog: pytest.LogCaptureFixture
) -> None:
    jwks = Jwks(server.url(), ttl=0.1, min_ttl=0.1, max_stale=1.2)
    find(jwks, "k1")
    server.answers["/keys"] = 500
    began = time.monotonic()
    until(lambda: jwks.state.failing > 0)
    assert kids(find(jwks, "k1")) == ["k1"]

    def gone() -> bool:
        try:
            return not find(jwks, "k1")
        except KeysUnavailable:
            return True

    until(gone)
    assert time.monotonic() - began >= 1.0
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == [f"the keys of {server.url()} cannot be had: status"]


def test_nobody_waits_again_for_an_issuer_that_is_known_not_to_answer() -> None:
    """It may hang each time it is asked."""
    good = published(json.dumps({"keys": [issuer().jwk]}).encode())
    assert good is not None
    cached = CachedKeys(ttl=600, min_ttl=30, max_ttl=3600, max_stale=10_000, cooldown=30)
    cached.loaded(good, None, 0)
    assert cached.ask("k1", 500)[1:] == (True, False)  # in time: in the background
    assert cached.ask("k1", 700)[1:] == (True, True)  # nobody has asked in time: once
    cached.failed(705)
    assert cached.ask("k1", 705.5) == (good.find("k1"), False, False)
    assert cached.ask("k1", 707) == (good.find("k1"), True, False)
    cold = CachedKeys(ttl=600, min_ttl=30, max_ttl=3600, max_stale=0, cooldown=30)
    assert cold.ask("k1", 0)[1:] == (True, True)
    cold.failed(5)
    assert cold.ask("k1", 7)[1:] == (True, False)


def test_a_service_that_started_while_the_issuer_was_away_finds_it_when_it_is_back(server: KeyServer) -> None:
    good, server.answers["/keys"] = server.answers["/keys"], 503
    jwks = Jwks(server.url())
    assert not jwks.warm()
    server.answers["/keys"] = good
    began = time.monotonic()
    until(jwks.warm)
    assert time.monotonic() - began < 4  # without waiting for anybody to ask
    assert kids(jwks.find("k1")) == ["k1"]


def test_a_set_that_became_garbage_does_not_replace_a_good_one(server: KeyServer) -> None:
    jwks = Jwks(server.url(), ttl=0.1, min_ttl=0.1)
    jwks.find("k1")
    server.answers["/keys"] = {"keys": []}
    until(lambda: jwks.state.failure == "no_keys")
    assert kids(jwks.find("k1")) == ["k1"]


def test_bad_keys_in_a_good_set_are_counted(server: KeyServer) -> None:
    server.answers["/keys"] = {"keys": [{"kty": "oct", "k": "AA"}, issuer().jwk, None]}
    jwks = Jwks(server.url())
    assert jwks.warm()
    assert jwks.state.left_out == {"secret": 1, "malformed": 1}


def _certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side and that of who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_whatever_ends_the_thread_another_one_begins(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an error of ours would: nobody waits for ever, and what is there serves on."""
    jwks = Jwks(server.url(), cooldown=0.01)
    jwks.find("k1")
    with monkeypatch.context() as broken:
        broken.setattr(jwks, "_fetched", lambda: 1 / 0)
        assert jwks.find("k2") == ()
        until(lambda: jwks._thread is None)
    assert kids(jwks.find("k1")) == ["k1"]
    server.answers["/keys"] = {"keys": [issuer("ES256", "k2").jwk]}
    until(lambda: kids(jwks.find("k2")) == ["k2"])


def test_a_certificate_has_to_be_trusted(tmp_path: Path) -> None:
    server_side, trusting = _certificate(tmp_path)
    with key_server(server_side) as server:
        server.answers["/keys"] = {"keys": [issuer().jwk]}
        for url in (server.url(), server.url().replace("https", "HTTPS")):
            stranger = Jwks(url)
            assert not stranger.warm()
            assert stranger.state.failure == "unreachable"
        assert server.asked == []
        assert Jwks(server.url(), tls=trusting).warm()


def test_what_stands_behind_the_path_is_not_shown(server: KeyServer, caplog: pytest.LogCaptureFixture) -> None:
    secret = opaque()
    jwks = Jwks(server.url(f"/keys?api_key={secret}"))
    assert not jwks.warm()
    until(lambda: server.url() in caplog.text)
    assert leaked(secret, repr(jwks), caplog.text, str(jwks.state)) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/keys",
        "ftp://login.example.com/keys",
        "https://user:word@login.example.com/keys",
        "https://",
        "//login.example.com",
        "http://127.0.0.1.example.com/",
        "https://[::1",
        "file:///etc/keys",
    ],
)
def test_a_url_that_is_not_to_be_trusted_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Jwks(url)
    assert "word" not in str(refused.value).replace("password", "")
    Jwks("http://[::1]:8080/keys")
    Jwks("http://localhost/keys")


@pytest.mark.parametrize("times", [{"ttl": 0}, {"cooldown": 0}, {"timeout": -1}, {"min_ttl": 700}, {"max_stale": -1}])
def test_times_that_make_no_sense_are_refused(times: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="ttl"):
        Jwks("https://login.example.com/keys", **times)


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ("openid-configuration", "/tenant/.well-known/openid-configuration"),
        ("oauth-authorization-server", "/.well-known/oauth-authorization-server/tenant"),
    ],
)
def test_keys_are_found_by_the_issuers_name(server: KeyServer, find: Find, metadata: str, path: str) -> None:
    name = server.url("/tenant")
    server.answers[path] = {"issuer": name, "jwks_uri": server.url()}
    jwks = Jwks.discover(name, metadata=metadata, ttl=0.2, min_ttl=0.2)
    assert kids(find(jwks, "k1")) == ["k1"]
    assert server.asked == [path, "/keys"]
    server.answers["/moved"], server.answers["/keys"] = {"keys": [issuer("ES256", "k2").jwk]}, 404
    server.answers[path] = {"issuer": name, "jwks_uri": server.url("/moved")}
    until(lambda: kids(find(jwks, "k2")) == ["k2"])


@pytest.mark.parametrize(
    ("document", "failure"),
    [
        ({}, "another_issuer"),
        ({"issuer": "https://elsewhere.test"}, "another_issuer"),
        ({"issuer": ..., "jwks_uri": 7}, "malformed_metadata"),
        ({"issuer": ..., "jwks_uri": "http://elsewhere.test/keys"}, "unsafe_url"),
        ({"issuer": ..., "jwks_uri": "file:///etc/passwd"}, "unsafe_url"),
        (b"[]", "malformed_metadata"),
        (404, "status"),
    ],
)
def test_an_issuer_that_is_not_what_it_was_called_gives_no_keys(server: KeyServer, document: Any, failure: str) -> None:
    if isinstance(document, dict):
        document = {key: server.base if value is ... else value for key, value in document.items()}
    server.answers["/.well-known/openid-configuration"] = document
    jwks = Jwks.discover(server.base)
    assert not jwks.warm()
    assert jwks.state.failure == failure
    assert "/keys" not in server.asked


def test_an_unknown_kind_of_metadata_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="openid-configuration"):
        Jwks.discover("https://login.example.com", metadata="../keys")
    with pytest.raises(ConfigurationError, match="query"):
        Jwks.discover("https://login.example.com/?a=b")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_worker_that_is_forked_goes_on_by_itself(server: KeyServer) -> None:
    jwks = Jwks(server.url(), cooldown=0.01)
    jwks.find("k1")
    server.answers["/keys"] = {"keys": [issuer("ES256", "k2").jwk]}
    time.sleep(0.02)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if kids(jwks.find("k2")) == ["k2"] else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 400), st.sampled_from([None, "k1", "made up"]), st.booleans(), st.none() | st.floats(0, 9e9)
        ),
        max_size=60,
    )
)
def test_whatever_happens_keys_are_neither_too_old_nor_asked_for_too_often(steps: list[Any]) -> None:
    good = published(json.dumps({"keys": [issuer().jwk]}).encode())
    assert good is not None
    cached = CachedKeys(ttl=600, min_ttl=30, max_ttl=3600, max_stale=1000, cooldown=30)
    now, loaded, failed, unknown = 0.0, float("-inf"), float("-inf"), 0
    for pause, kid, works, max_age in steps:
        now += pause
        held = cached.held is not None
        try:
            asked = cached.ask(kid, now)
        except KeysUnavailable:
            assert now - failed <= 60
            assert now - loaded >= 1000
            continue
        assert asked.keys == () or now - loaded <= 3600 + 1000
        if asked.refresh:
            assert now - failed >= 1
            unknown += kid == "made up" and held and cached.held is not None
            if works:
                cached.loaded(good, max_age, now)
                loaded = now
            else:
                cached.failed(now)
                failed = now
        assert asked.keys or kid == "made up" or asked.refresh
        assert not (asked.keys and asked.wait and cached.failing > 1)
    assert unknown <= 1 + now / 30

"""Questions over TLS: to whom they are put, and that a handshake does not hold a request up either."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import fakes
from bearerwatch.event import Outcome
from bearerwatch.verify.introspection import BearerToken, Introspection
from bearerwatch.verify.verdict import Verdict
from verify.introspected import Server

Ask = Callable[[Introspection], list[Verdict]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now, day = datetime.now(UTC), timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    made = Server(tls=context)
    yield made
    made.stop()


@pytest.fixture(params=["threads", "coroutines"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Asks about two tokens, one after the other, and hangs up."""

    def now(introspection: Introspection) -> list[Verdict]:
        with closing(introspection):
            return [introspection(fakes.opaque()) for _ in range(2)]

    async def later(introspection: Introspection) -> list[Verdict]:
        try:
            return [await introspection.averify(fakes.opaque()) for _ in range(2)]
        finally:
            await introspection.aclose()

    return now if request.param == "threads" else lambda introspection: asyncio.run(later(introspection))


def make(url: str, tls: ssl.SSLContext | None, seconds: float = 3) -> Introspection:
    return Introspection(url, auth=BearerToken("of the service"), audience="orders", tls=tls, seconds=seconds)


def test_a_server_that_is_trusted_is_asked_over_one_connection(server: Server, certificate: Path, ask: Ask) -> None:
    verdicts = ask(make(server.url, ssl.create_default_context(cafile=str(certificate))))
    assert [verdict.accepted for verdict in verdicts] == [True, True]
    assert (len(server.asked), len(server.connections)) == (2, 1)


@pytest.mark.parametrize("why", ["unknown authority", "another name"])
def test_one_that_is_not_gets_no_token(server: Server, certificate: Path, ask: Ask, why: str) -> None:
    url, tls = server.url, None
    if why == "another name":
        url, tls = url.replace("127.0.0.1", "localhost"), ssl.create_default_context(cafile=str(certificate))
    assert {verdict.outcome for verdict in ask(make(url, tls))} == {Outcome.ERROR}
    assert server.asked == []


def test_a_handshake_that_never_ends_does_not_hold_a_request_up(ask: Ask) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        introspection = make(f"https://127.0.0.1:{silent.getsockname()[1]}/", None, seconds=0.3)
        began = time.monotonic()
        assert {verdict.outcome for verdict in ask(introspection)} == {Outcome.ERROR}
        assert time.monotonic() - began < 2.5

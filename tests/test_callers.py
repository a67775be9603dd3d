"""The caller's address, with and without proxies."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.callers import _MAX_KNOWN
from desk import Desk

PROXIES = "10.0.0.0/8, 192.0.2.9, fd00::/8"
MANY = ", ".join(f"198.51.100.{n % 256}" for n in range(10_000))


@pytest.mark.parametrize(
    ("peer", "header", "client"),
    [
        # nobody is believed but a trusted peer
        ("203.0.113.1", "198.51.100.7", "203.0.113.1"),
        ("203.0.113.1", "198.51.100.7, 10.0.0.1", "203.0.113.1"),
        ("2001:db8::1", "198.51.100.7", "2001:db8::1"),
        # the nearest address that is no proxy
        ("192.0.2.9", "198.51.100.7", "198.51.100.7"),
        ("192.0.2.9", "1.1.1.1, 198.51.100.7", "198.51.100.7"),
        ("192.0.2.9", "1.1.1.1, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("192.0.2.9", "1.1.1.1,198.51.100.7,10.1.2.3,10.9.9.9", "198.51.100.7"),
        ("10.0.0.1", "127.0.0.1", "127.0.0.1"),
        # a chain of proxies alone: the farthest of them
        ("192.0.2.9", "10.0.0.2, 10.0.0.1", "10.0.0.2"),
        # IPv6, ports, brackets, zones
        ("192.0.2.9", "2001:DB8:0:0::0001", "2001:db8::1"),
        ("192.0.2.9", "[2001:db8::1]:443", "2001:db8::1"),
        ("192.0.2.9", "[2001:db8::1]", "2001:db8::1"),
        ("192.0.2.9", "fe80::1%eth0", "fe80::1"),
        ("192.0.2.9", "198.51.100.7:51000", "198.51.100.7"),
        ("192.0.2.9", "::ffff:198.51.100.7", "198.51.100.7"),
        ("::ffff:192.0.2.9", "198.51.100.7", "198.51.100.7"),
        ("fd00::1", "2001:db8::7, fd12::1", "2001:db8::7"),
        # garbage next to the proxy: nothing left of it is believed
        ("192.0.2.9", "", "192.0.2.9"),
        ("192.0.2.9", None, "192.0.2.9"),
        ("192.0.2.9", "unknown", "192.0.2.9"),
        ("192.0.2.9", "198.51.100.7, unknown", "192.0.2.9"),
        ("192.0.2.9", "198.51.100.7,", "192.0.2.9"),
        ("192.0.2.9", "198.51.100.7, , 10.0.0.1", "10.0.0.1"),
        ("192.0.2.9", "198.51.100.7; DROP TABLE", "192.0.2.9"),
        ("192.0.2.9", "198.51.100.007", "192.0.2.9"),
        ("192.0.2.9", "3325256711", "192.0.2.9"),
        ("192.0.2.9", "0x7f.1", "192.0.2.9"),
        ("192.0.2.9", "\x00\x1b[31m", "192.0.2.9"),
        ("192.0.2.9", "\uff11\uff19\uff18.51.100.7", "192.0.2.9"),
        ("192.0.2.9", "a" * 1_000_000, "192.0.2.9"),
        # a header of thousands
        ("192.0.2.9", f"{MANY}, 203.0.113.77", "203.0.113.77"),
        ("192.0.2.9", f"203.0.113.77, {', '.join(['10.0.0.1'] * 10_000)}", "10.0.0.1"),
        # no peer at all
        ("", "198.51.100.7", None),
        ("/run/app.sock", "198.51.100.7", None),
    ],
)
def test_x_forwarded_for_is_read_from_the_right(peer: str, header: str | None, client: str | None) -> None:
    desk = Desk(trusted_proxies=PROXIES)
    event = desk.serve(peer_ip=peer, forwarded_for=header)
    assert event.client_ip == client
    assert event.peer_ip == (None if client is None else peer.removeprefix("::ffff:"))


@pytest.mark.parametrize(
    ("header", "client"),
    [
        ("for=198.51.100.7", "198.51.100.7"),
        ("For=198.51.100.7;proto=https;by=10.0.0.1", "198.51.100.7"),
        ('by=10.0.0.1; for="198.51.100.7:4711"', "198.51.100.7"),
        ('for="[2001:db8::1]:4711"', "2001:db8::1"),
        ("for=1.1.1.1, for=198.51.100.7, for=10.0.0.5", "198.51.100.7"),
        ('for="1.1.1.1, for=198.51.100.7', "198.51.100.7"),
        ("for=unknown", "192.0.2.9"),
        ("for=_hidden, for=10.0.0.5", "10.0.0.5"),
        ("proto=https", "192.0.2.9"),
        ("for=198.51.100.7, proto=https", "192.0.2.9"),
        (",;=,;=", "192.0.2.9"),
        ("for=" * 5000, "192.0.2.9"),
        (", ".join(["for=1.1.1.1"] * 10_000) + ", for=198.51.100.7", "198.51.100.7"),
    ],
)
def test_forwarded_is_read_from_the_right(header: str, client: str) -> None:
    """RFC 7239."""
    assert Desk(trusted_proxies=PROXIES).serve(forwarded=header).client_ip == client
    assert Desk().serve(forwarded=header).client_ip == "192.0.2.9"


def test_a_header_the_proxy_only_hands_on_frames_nobody() -> None:
    """A proxy that writes ``X-Forwarded-For`` passes the caller's own ``Forwarded`` through."""
    desk = Desk(trusted_proxies=PROXIES)
    event = desk.serve(forwarded="for=203.0.113.200", forwarded_for="198.51.100.7")
    assert event.client_ip == "198.51.100.7"


@given(st.text(max_size=200), st.text(max_size=60), st.text(max_size=200))
def test_no_address_is_too_strange(header: str, peer: str, forwarded: str) -> None:
    desk = Desk(trusted_proxies="0.0.0.0/0, ::/0")
    for event in (
        desk.serve(peer_ip="192.0.2.9", forwarded_for=header),
        desk.serve(peer_ip="192.0.2.9", forwarded=forwarded),
        desk.serve(peer_ip=peer, forwarded_for=header),
    ):
        for address in (event.client_ip, event.peer_ip):
            assert address is None or str(ipaddress.ip_address(address)) == address


@pytest.mark.parametrize("peer", ["", "/run/app.sock"])
def test_a_proxy_on_a_unix_socket_is_believed_if_told_so(peer: str) -> None:
    """Gunicorn leaves REMOTE_ADDR empty then, and uvicorn names no client."""
    given = {"peer_ip": peer, "forwarded_for": "1.1.1.1, 198.51.100.7, 10.0.0.5", "request_id": "from-the-proxy"}
    event = Desk(trusted_proxies="unix, 10.0.0.0/8").serve(**given)
    assert (event.client_ip, event.peer_ip, event.request_id) == ("198.51.100.7", None, "from-the-proxy")
    event = Desk(trusted_proxies="unix").serve(**given)
    assert event.client_ip == "10.0.0.5"
    for others in ("10.0.0.0/8", "0.0.0.0/0, ::/0"):
        event = Desk(trusted_proxies=others).serve(**given)
        assert event.client_ip is None
        assert event.request_id != "from-the-proxy"
    assert Desk(trusted_proxies="unix").serve(**given | {"peer_ip": "203.0.113.1"}).client_ip == "203.0.113.1"


def test_what_is_remembered_of_peers_is_bounded() -> None:
    callers = Desk(trusted_proxies=PROXIES).watch.callers
    for number in range(_MAX_KNOWN + 50):
        callers.trusts(str(number))
    assert len(callers._known) <= _MAX_KNOWN

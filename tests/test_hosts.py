"""Hosts as ``correlate_to`` names them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch._hosts import Hosts
from bearerwatch.errors import ConfigurationError
from bearerwatch.settings import Settings


@pytest.mark.parametrize(
    ("named", "host", "there"),
    [
        ("*", "anything", True),
        ("none", "anything", False),
        ("api.example.com", "api.example.com", True),
        ("api.example.com", "API.Example.Com.", True),
        ("API.example.com.", "api.example.com", True),
        ("api.example.com", "xapi.example.com", False),
        ("api.example.com", "api.example.com.evil.test", False),
        ("*.example.com", "api.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "evilexample.com", False),
        ("*.example.com", ".example.com", False),
        ("orders_api", "orders_api", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "10.example.com", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("::1", "[::1]", True),
        ("fd00::/8", "fd12::1", True),
        ("fd00::/8", "10.0.0.1", False),
        ("10.0.0.0/8", "", False),
    ],
)
def test_a_host_is_among_those_named(named: str, host: str, there: bool) -> None:
    assert (host in Hosts((named,))) is there


@pytest.mark.parametrize(
    "bad", ["http://api.example.com", "api.example.com:443", "*.", "a b", "*.*", "a*", "", "-a", "é.test"]
)
def test_what_is_no_host_is_refused_and_it_says_how(bad: str) -> None:
    with pytest.raises(ValueError, match=r"\*\.example\.com"):
        Hosts((bad,))


@pytest.mark.parametrize("bad", ["*,api.example.com", "none,api.example.com", "https://api.example.com"])
def test_the_setting_is_refused_by_its_name(bad: str) -> None:
    with pytest.raises(ConfigurationError, match="BEARERWATCH_CORRELATE_TO"):
        Settings.from_env({"BEARERWATCH_CORRELATE_TO": bad})


def test_the_setting_is_read() -> None:
    assert Settings.from_env({}).correlate_to == ("*",)
    assert Settings.from_env({"BEARERWATCH_CORRELATE_TO": "*.svc.cluster.local, 10.0.0.0/8"}).correlate_to == (
        "*.svc.cluster.local",
        "10.0.0.0/8",
    )


@given(st.text(max_size=300))
def test_no_host_is_too_strange(host: str) -> None:
    assert host not in Hosts(("api.example.com", "*.svc.cluster.local", "10.0.0.0/8"))

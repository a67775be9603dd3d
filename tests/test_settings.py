"""Settings: from the environment, from a framework, and what is said of a bad one."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.settings import Settings


def test_without_any_setting_everything_has_a_value(tmp_path: Path) -> None:
    settings = Settings.from_env()
    assert settings.state_dir == tmp_path / "state"
    assert settings.spool_dir == tmp_path / "state" / "spool"
    assert (settings.service, settings.sinks, settings.trusted_proxies) == ("app", ("spool",), ())
    assert settings.redact_logs
    assert not settings.plain_subjects
    assert "bearer" in settings.schemes


def test_made_by_hand_the_spool_is_in_the_state_folder_too(tmp_path: Path) -> None:
    assert Settings(service="shop", state_dir=tmp_path).spool_dir == tmp_path / "spool"
    assert Settings(service="shop").spool_dir == tmp_path / "state" / "spool"


def test_the_environment_is_read() -> None:
    settings = Settings.from_env(
        {
            "BEARERWATCH_STATE": "/var/lib/bw",
            "BEARERWATCH_SPOOL": "/spool",
            "BEARERWATCH_SERVICE": "shop.v2",
            "BEARERWATCH_SINKS": "spool, log",
            "BEARERWATCH_TRUSTED_PROXIES": "10.0.0.0/8,::1 192.0.2.7",
            "BEARERWATCH_SCHEMES": "Bearer,Custom",
            "BEARERWATCH_PLAIN_SUBJECTS": "yes",
            "BEARERWATCH_REDACT_LOGS": "off",
            "BEARERWATCH_SPOOL_QUOTA": "1000000",
        }
    )
    assert settings.state_dir == Path("/var/lib/bw")
    assert settings.spool_dir == Path("/spool")
    assert settings.service == "shop.v2"
    assert settings.sinks == ("spool", "log")
    assert settings.trusted_proxies == tuple(
        ipaddress.ip_network(text) for text in ("10.0.0.0/8", "::1/128", "192.0.2.7/32")
    )
    assert settings.schemes == {"bearer", "custom"}
    assert settings.plain_subjects
    assert not settings.redact_logs
    assert settings.spool_quota == 1_000_000


def test_a_unix_socket_may_be_trusted() -> None:
    settings = Settings.from_env({"BEARERWATCH_TRUSTED_PROXIES": "unix,0.0.0.0/0", "BEARERWATCH_STATE": "/s"})
    assert settings.trusted_proxies == ("unix", ipaddress.ip_network("0.0.0.0/0"))
    assert settings.open_networks == ["0.0.0.0/0"]


@pytest.mark.parametrize("scheme", ["basic", "Digest", "negotiate", "NTLM"])
def test_a_scheme_with_passwords_carries_no_token(scheme: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{scheme.lower()} carries no bearer token"):
        Settings.from_env({"BEARERWATCH_SCHEMES": f"bearer {scheme}", "BEARERWATCH_STATE": "/s"})


def test_an_empty_variable_is_none() -> None:
    assert Settings.from_env({"BEARERWATCH_SERVICE": "", "BEARERWATCH_STATE": "/s"}).service == "app"


def test_what_the_framework_says_wins_and_none_says_nothing() -> None:
    env = {"BEARERWATCH_STATE": "/s", "BEARERWATCH_SERVICE": "env"}
    assert Settings.from_env(env, service="code").service == "code"
    assert Settings.from_env(env, service=None).service == "env"
    assert Settings.from_env(env, state_dir="/other").spool_dir == Path("/other/spool")
    given = Settings.from_env(env, trusted_proxies=["10.0.0.1/8", ipaddress.ip_network("::/0")], sinks=["log"])
    assert [str(network) for network in given.trusted_proxies] == ["10.0.0.0/8", "::/0"]
    assert given.sinks == ("log",)
    assert Settings.from_env(env, trusted_proxies=[]).trusted_proxies == ()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("service", "", "service name"),
        ("service", "../../etc", "service name"),
        ("service", "a b", "service name"),
        ("service", "x" * 65, "service name"),
        ("service", "shop\n", "service name"),
        ("service", 7, "service name"),
        ("sinks", [], "one or more"),
        ("sinks", 7, "sinks"),
        ("sinks", ["", "log"], "one or more"),
        ("trusted_proxies", "10.0.0.0/33", "not a network"),
        ("trusted_proxies", "localhost", "like 10.0.0.0/8"),
        ("trusted_proxies", ["*"], "not a network"),
        ("trusted_proxies", True, "trusted_proxies"),
        ("trusted_proxies", [10], "not a network"),
        ("plain_subjects", "maybe", "true or false"),
        ("redact_logs", "", "true or false"),
        ("spool_quota", "much", "spool_quota"),
        ("spool_quota", 10, "65536"),
        ("spool_quota", "inf", "spool_quota"),
        ("spool_dir", 5, "spool_dir"),
    ],
)
def test_a_bad_setting_is_named_with_what_would_do(name: str, value: object, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        Settings.from_env({"BEARERWATCH_STATE": "/s"}, **{name: value})
    assert name in str(caught.value)


def test_an_unknown_setting_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ConfigurationError, match=r"'trusted_proxy'.*trusted_proxies"):
        Settings.from_env({"BEARERWATCH_STATE": "/s"}, trusted_proxy="10.0.0.0/8")


def test_the_instance_names_host_and_process() -> None:
    assert Settings.from_env().with_instance().instance == f"{socket.gethostname()}-{os.getpid()}"

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.alert.config import Route, load_routes
from bearerwatch.errors import ConfigurationError


def whsec() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def write(folder: Path, text: str) -> Path:
    path = folder / "bearerwatch.toml"
    path.write_text(text)
    return path


def test_without_anything_notices_go_to_the_console() -> None:
    (route,) = load_routes(None, {})
    assert route.channel.name == "console"
    assert route.wants("any", "informational")


def test_a_file_names_its_channels_and_what_each_wants(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [[channel]]
        type = "webhook"
        url = "https://hooks.example.org/bearerwatch"
        secret_env = "HOOK_SECRET"
        min_level = "medium"
        rules = ["token_*", "brute_force"]

        [[channel]]
        type = "console"
        name = "stderr"
        """,
    )
    hook, console = load_routes(path, {"HOOK_SECRET": whsec()})
    assert [hook.channel.name, console.channel.name] == ["webhook", "stderr"]
    assert hook.wants("token_guessing", "medium")
    assert hook.wants("brute_force", "critical")
    assert not hook.wants("token_guessing", "low")
    assert not hook.wants("object_enumeration", "critical")


def test_shortcuts_of_the_environment_come_beside_the_console() -> None:
    env = {
        "BEARERWATCH_WEBHOOK_URL": "https://hooks.example.org/x",
        "BEARERWATCH_WEBHOOK_SECRET": whsec(),
        "BEARERWATCH_APPRISE_URLS": "json://127.0.0.1:1/a\n json://127.0.0.1:2/b",
    }
    names = [route.channel.name for route in load_routes(None, env)]
    assert names == ["console", "env-webhook", "env-apprise-1", "env-apprise-2"]


def test_secrets_may_lie_in_files_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "hook.key").write_text(whsec() + "\n")
    (tmp_path / "hook.url").write_text("https://hooks.example.org/" + secrets.token_hex(8) + "\n")
    path = write(tmp_path, '[[channel]]\ntype = "webhook"\nurl_file = "hook.url"\nsecret_file = "hook.key"\n')
    (route,) = load_routes(path, {})
    assert route.channel.name == "webhook"


KEY = whsec()
GOOD = 'type = "webhook"\nurl = "https://h.example/x"\nsecret_env = "HOOK_SECRET"\n'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('type = "pigeon"', "channel 1 (pigeon): no such type; there are: apprise, console, webhook"),
        ("rules = []", "name must be"),
        ('name = "x"', "no type"),
        ('type = "../console"', "name must be"),
        (GOOD + 'min_levle = "high"', "unknown key 'min_levle'; known here: authorization"),
        (GOOD + 'min_level = "severe"', "min_level must be one of informational, low, medium, high, critical"),
        (GOOD + "rules = [1]", "rules must be a list of strings"),
        (GOOD + 'timeout = "10"', "timeout must be a number from 0.1 to 120"),
        (GOOD + "timeout = 0", "out of range"),
        (GOOD + 'insecure = "yes"', "insecure must be true or false"),
        (GOOD + 'name = "a b"', "name must be letters"),
        ('type = "webhook"\nurl = "https://h.example/x"', "no signing secret: make one with 'bearerwatch key webhook'"),
        ('type = "webhook"\nsecret_env = "HOOK_SECRET"', "no url"),
        ('type = "webhook"\nurl = ""\nsecret_env = "HOOK_SECRET"', "url must be a non-empty string"),
        ('type = "webhook"\nurl = "https://h.example"\nsecret_env = "NOT_SET"', "NOT_SET, which is not set"),
        ('type = "webhook"\nurl = "https://h.example"\nsecret_file = "none"', "cannot be read (No such file"),
        (GOOD + 'secret_file = "x"', "both secret_env and secret_file"),
        (
            'type = "webhook"\nurl = "http://h.example/x"\nsecret_env = "HOOK_SECRET"',
            "use https, or say insecure = true",
        ),
        ('type = "webhook"\nurl = "ftp://h.example/x"\nsecret_env = "HOOK_SECRET"', "no web address"),
        ('type = "webhook"\nurl = "https://[::1/x"\nsecret_env = "HOOK_SECRET"', "no URL"),
        ('type = "webhook"\nurl = "https://h.example:99999/"\nsecret_env = "HOOK_SECRET"', "no URL"),
        ('type = "webhook"\nurl = "https:///x"\nsecret_env = "HOOK_SECRET"', "no web address"),
        (GOOD + 'url_env = "X"', "url is given twice"),
        ('type = "apprise"', "no url: put the Apprise URL into an environment variable"),
        ('type = "apprise"\nurl_env = "TWO"', "more than one URL"),
    ],
)
def test_mistakes_are_named_with_their_place_and_mend(tmp_path: Path, body: str, says: str) -> None:
    path = write(tmp_path, "[[channel]]\n" + body)
    env = {"HOOK_SECRET": KEY, "TWO": "json://a json://b"}
    with pytest.raises(ConfigurationError) as caught:
        load_routes(path, env)
    assert str(caught.value).startswith(f"{path}: channel 1")
    assert says in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[channel]", "is not TOML"),
        ("[channel]\ntype='console'", "two brackets"),
        ("chanel = 1", "unknown key 'chanel'"),
        ("channel = 1", "two brackets"),
    ],
)
def test_a_file_that_is_no_such_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=f"{path.name}.*{says}"):
        load_routes(path, {})


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml cannot be read"):
        load_routes(tmp_path / "none.toml", {})
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_routes(path, {})
    path.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigurationError, match="larger than 1 MiB"):
        load_routes(path, {})


@pytest.mark.parametrize(
    "key",
    ["secret", "url"],
)
def test_a_secret_written_into_the_file_is_refused_and_not_shown(tmp_path: Path, key: str) -> None:
    value = secrets.token_urlsafe(24)
    kind = "webhook" if key == "secret" else "apprise"
    url = 'url = "https://h.example"\n' if key == "secret" else ""
    path = write(tmp_path, f'[[channel]]\ntype = "{kind}"\n{url}{key} = "{value}"\n')
    with pytest.raises(ConfigurationError) as caught:
        load_routes(path, {})
    assert f"{key} must not stand in the file" in str(caught.value)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [
        "plain-text-secret-of-some-length",
        "whsec_!!!!",
        "whsec_" + base64.b64encode(b"short").decode(),
        "whsec_" + "A" * 200,
    ],
)
def test_a_bad_signing_key_is_refused_and_not_shown(bad: str) -> None:
    env = {"BEARERWATCH_WEBHOOK_URL": "https://h.example/x", "BEARERWATCH_WEBHOOK_SECRET": f"{whsec()} {bad}"}
    with pytest.raises(ConfigurationError) as caught:
        load_routes(None, env)
    assert "BEARERWATCH_WEBHOOK_URL: key 2 in env BEARERWATCH_WEBHOOK_SECRET" in str(caught.value)
    assert bad not in str(caught.value)


def test_a_password_in_a_literal_url_is_refused_and_not_shown(tmp_path: Path) -> None:
    word = secrets.token_urlsafe(12)
    path = write(tmp_path, f'[[channel]]\ntype = "webhook"\nurl = "https://me:{word}@h.example/x"\nunsigned = true\n')
    with pytest.raises(ConfigurationError) as caught:
        load_routes(path, {})
    assert "url_env" in str(caught.value)
    assert word not in str(caught.value)


def test_a_bad_apprise_url_is_refused_and_not_shown(caplog: Any, capfd: Any) -> None:
    word = secrets.token_urlsafe(12)
    for url in (f"nonsense://{word}", f"pagerduty://{word}", f"{word}"):
        with pytest.raises(ConfigurationError) as caught:
            load_routes(None, {"BEARERWATCH_APPRISE_URLS": f"json://127.0.0.1 {url}"})
        assert "BEARERWATCH_APPRISE_URLS, URL 2 of 2" in str(caught.value)
        assert word not in str(caught.value)
    printed = capfd.readouterr()
    assert word not in caplog.text + printed.out + printed.err


def test_two_channels_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, '[[channel]]\ntype="console"\n[[channel]]\ntype="console"\n')
    with pytest.raises(ConfigurationError, match=r'channel 2 .*name = "console-2"'):
        load_routes(path, {})


def test_a_webhook_of_the_environment_needs_its_secret() -> None:
    with pytest.raises(ConfigurationError, match="BEARERWATCH_WEBHOOK_SECRET is not: set it to the output of"):
        load_routes(None, {"BEARERWATCH_WEBHOOK_URL": "https://h.example/x"})


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]:9/x"])
def test_plain_http_is_fine_on_this_machine(url: str) -> None:
    load_routes(None, {"BEARERWATCH_WEBHOOK_URL": url, "BEARERWATCH_WEBHOOK_SECRET": whsec()})


def test_a_route_without_filters_wants_everything() -> None:
    assert Route(channel=None).wants("x", "informational")  # type: ignore[arg-type]

"""``rules except``: written, shown, told of when it is over, and ended; and no token ever echoed or kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import fakes
from bearerwatch.detect.rulebook import load_rules

Run = Callable[..., Any]
WHY = ("--until", "30d", "--because", "Our own scanner, every Monday")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rules = tmp_path / "rules"
    rules.mkdir()
    monkeypatch.setenv("BEARERWATCH_RULES", str(rules))
    return rules


def excepted(run: Run, *fields: str, rules: tuple[str, ...] = ("brute_force_address",)) -> Any:
    given = [part for field in fields for part in ("--field", field)]
    return run("rules", "except", *rules, *given, *WHY, "--author", "mara", "--json")


def test_what_is_written_is_in_force_for_that_rule_alone(run: Run, folder: Path) -> None:
    ran = excepted(run, "client_ip=192.0.2.0/28", "client_ip=192.0.2.99", "user_agent=probe/*", "status=401")
    assert ran.code == 0
    told = ran.json
    assert (told["name"], told["author"], told["rules"]) == ("our_own_scanner_every", "mara", ["brute_force_address"])
    until = datetime.fromisoformat(told["until"])
    assert abs(until - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    assert told["fields"]["excepted"] == {
        "client_ip|cidr": "192.0.2.0/28",
        "client_ip": "192.0.2.99",
        "user_agent": "probe/*",
        "status": 401,
    }
    rules = {rule.name: rule for rule in load_rules(folder)}
    assert [name for name, rule in rules.items() if rule.exceptions] == ["brute_force_address"]
    assert Path(told["path"]).stat().st_mode & 0o777 == 0o644
    (line,) = (folder / "exceptions" / "history.jsonl").read_text().splitlines()
    assert (json.loads(line)["did"], json.loads(line)["name"]) == ("added", told["name"])


def test_they_are_listed_and_shown_with_their_rules(run: Run, folder: Path) -> None:
    excepted(run, "client_ip=192.0.2.1", rules=("token_guessing", "token_sharing"))
    (row,) = run("rules", "except", "--list", "--json").rows
    assert row["rules"] == ["token_guessing", "token_sharing"]
    listed = run("rules", "except", "--list").out
    assert "client_ip=192.0.2.1" in listed
    assert "mara: Our own scanner" in listed
    assert run("rules", "list").out.count("except our_own_scanner_every") == 2
    rows = {row["name"]: row["exceptions"] for row in run("rules", "list", "--json").rows}
    assert rows["token_guessing"] == ["our_own_scanner_every"]


def test_two_of_one_reason_have_two_names_and_one_is_removed(run: Run, folder: Path) -> None:
    first, second = excepted(run, "client_ip=192.0.2.1").json, excepted(run, "client_ip=192.0.2.2").json
    assert first["name"] != second["name"]
    assert run("rules", "except", "--remove", first["name"]).code == 0
    assert [row["name"] for row in run("rules", "except", "--list", "--json").rows] == [second["name"]]
    last = json.loads((folder / "exceptions" / "history.jsonl").read_text().splitlines()[-1])
    assert (last["did"], last["name"]) == ("removed", first["name"])
    assert "192.0.2.1" in last["was"]
    again = run("rules", "except", "--remove", first["name"])
    assert again.code == 2


def test_an_expired_one_is_told_by_list_and_doctor(run: Run, folder: Path, tmp_path: Path) -> None:
    path = Path(excepted(run, "client_ip=192.0.2.1").json["path"])
    until = next(line for line in path.read_text().splitlines() if "expires" in line)
    path.write_text(path.read_text().replace(until, "  expires: 2026-01-01"), encoding="utf-8")
    assert "expired on 2026-01-01 00:00 UTC" in run("rules", "list").err
    assert "expired 2026-01-01 00:00" in run("rules", "except", "--list").out
    found = run("doctor", "--state", tmp_path, "--json").out
    assert "bearerwatch.W052" in found


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("brute_force_address", "--field", "client_ip=192.0.2.1"), "--until"),
        (("brute_force_adress", "--field", "client_ip=192.0.2.1", *WHY), "rules list"),
        (("Brute!", "--field", "client_ip=192.0.2.1", *WHY), "rules list"),
        (("any", "--field", "clientip=192.0.2.1", *WHY), "client_ip"),
        (("any", "--field", "client_ip", *WHY), "FIELD=VALUE"),
        (("any", "--field", "status=many", *WHY), "whole number"),
        (("any", "--field", "verified=perhaps", *WHY), "true or false"),
        (("any", "--field", "lat=north", *WHY), "a number"),
        (("any", "--field", "outcome=denied", *WHY), "malformed"),
        (("any", "--field", "client_ip|cidr=here", *WHY), "read"),
        (("any", "--field", "token_id=k0000", *WHY), "fingerprint"),
        (("any", "--field", "client_ip=192.0.2.1", "--until", "2020-01-01", "--because", "x"), "past"),
        (("any", "--field", "client_ip=192.0.2.1", "--until", "later", "--because", "x"), "--until"),
        (("any", "--field", "client_ip=192.0.2.1", "--name", "../x", *WHY), "--name"),
        (("any", "--list"), "either"),
        ((), "either"),
    ],
)
def test_wrong_use_is_told_and_nothing_is_written(run: Run, folder: Path, argv: tuple[str, ...], said: str) -> None:
    ran = run("rules", "except", *argv)
    assert ran.code == 2
    assert said in ran.err
    assert not (folder / "exceptions").exists()


@pytest.mark.parametrize("make", [fakes.jwt, fakes.opaque])
@pytest.mark.parametrize("where", ["token_id={}", "presented_id={}", "status={}", "{}=1", "outcome={}"])
def test_a_token_in_a_field_is_neither_repeated_nor_kept(
    run: Run, folder: Path, make: Callable[[], str], where: str
) -> None:
    token = make()
    ran = excepted(run, where.format(token))
    assert ran.code == 2
    assert not fakes.leaked(token, ran.out, ran.err)
    assert not (folder / "exceptions").exists()


@pytest.mark.parametrize("option", ["--because", "--author", "--name", "--remove"])
def test_a_token_elsewhere_is_neither_repeated_nor_kept(run: Run, folder: Path, option: str) -> None:
    token = fakes.jwt()
    rest = [] if option == "--remove" else ["any", "--field", "client_ip=192.0.2.1", *WHY]
    ran = run("rules", "except", *rest, option, token)
    assert ran.code == 2
    assert not fakes.leaked(token, ran.out, ran.err)
    assert not (folder / "exceptions").exists()


def test_without_a_folder_it_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BEARERWATCH_RULES", raising=False)
    assert "--rules" in run("rules", "except", "--list").err

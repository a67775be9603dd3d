"""Findings as lines, JSON and SARIF; none of them shows a token, not even one in a file's name."""

from __future__ import annotations

import json
from typing import Any

import pytest

import fakes
from bearerwatch.leaks.reports import Json, Lines, Report, Sarif
from bearerwatch.leaks.scan import Leak

JWT = Leak(3, 7, 40, 120, "jwt", "k01234567:" + "ab" * 16, 1_700_000_000, True)
OPAQUE = Leak(4, 1, 200, 30, "bearer", "k01234567:" + "cd" * 16, None, None)
SECRET = Leak(5, 1, 300, 12, "password", None, None, None)


def told(make: Any, findings: list[tuple[str, Leak]], problems: list[tuple[str, str]]) -> str:
    out: list[str] = []
    report: Report = make(out.append)
    for name, leak in findings:
        report(name, leak)
    report.end(problems)
    return "".join(out)


def test_lines() -> None:
    fresh = JWT._replace(expired=False)
    assert told(Lines, [("a.log", JWT), ("a.log", fresh), ("b", OPAQUE), ("-", SECRET)], [("x", "y")]).splitlines() == [
        f"a.log:3:7: jwt {JWT.fingerprint} expired 2023-11-14T22:13:20Z",
        f"a.log:3:7: jwt {JWT.fingerprint} valid until 2023-11-14T22:13:20Z",
        f"b:4:1: bearer {OPAQUE.fingerprint}",
        "-:5:1: [password]",
    ]


def test_json_is_one_object_a_line() -> None:
    rows = [json.loads(line) for line in told(Json, [("a.log", JWT), ("b", SECRET)], []).splitlines()]
    assert rows[0] == {
        "path": "a.log", "line": 3, "column": 7, "offset": 40, "length": 120, "kind": "jwt",
        "fingerprint": JWT.fingerprint, "expires_at": "2023-11-14T22:13:20Z", "expired": True,
    }  # fmt: skip
    assert (rows[1]["fingerprint"], rows[1]["expires_at"], rows[1]["expired"]) == (None, None, None)


@pytest.mark.parametrize("make", [Lines, Json, Sarif])
def test_a_hostile_name_acts_on_nothing_and_shows_no_token(make: Any) -> None:
    token = fakes.jwt()
    name = f"dump?access_token={token}\x1b[2J\n::error::\udcff"
    text = told(make, [(name, OPAQUE)], [(name, "cannot be read")])
    assert fakes.leaked(token, text) == []
    assert "\x1b" not in text
    assert text.isprintable() or make is not Lines or text.count("\n") == 1
    text.encode("ascii" if make is not Lines else "utf-8")


# What the schema of SARIF 2.1.0 requires of the objects used here, and the types it has for them.
def valid(document: Any) -> list[dict[str, Any]]:
    assert set(document) == {"$schema", "version", "runs"}
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    assert set(run) == {"tool", "results", "columnKind", "invocations"}
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    driver = run["tool"]["driver"]
    assert isinstance(driver["name"], str)
    assert driver["informationUri"].startswith("https://")
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        assert isinstance(rule["shortDescription"]["text"], str)
    for invocation in run["invocations"]:
        assert isinstance(invocation["executionSuccessful"], bool)
        for notification in invocation["toolExecutionNotifications"]:
            assert isinstance(notification["message"]["text"], str)
            assert notification["level"] in ("none", "note", "warning", "error")
    for result in run["results"]:
        assert isinstance(result["message"]["text"], str)
        assert result["level"] in ("none", "note", "warning", "error")
        assert ids[result["ruleIndex"]] == result["ruleId"]
        for location in result["locations"]:
            physical = location["physicalLocation"]
            uri = physical["artifactLocation"]["uri"]
            assert uri.isascii()
            assert not any(character in uri for character in ' "<>\\^`{|}')
            assert physical["region"]["startLine"] >= 1
            assert physical["region"]["startColumn"] >= 1
        assert all(isinstance(value, str) for value in result.get("partialFingerprints", {}).values())
    found: list[dict[str, Any]] = run["results"]
    return found


def test_sarif_is_what_its_schema_requires() -> None:
    findings = [("a b/ä.log", JWT), ("/var/log/x", OPAQUE), ("-", SECRET), ("c", JWT)]
    document = json.loads(told(Sarif, findings, [("gone", "cannot be read: no such file")]))
    results = valid(document)
    uris = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results]
    assert uris == ["a%20b/%C3%A4.log", "file:///var/log/x", "stdin", "c"]
    assert [one["level"] for one in results] == ["warning", "error", "error", "warning"]
    assert results[0]["partialFingerprints"] == {"bearerwatch/v1": JWT.fingerprint}
    assert "partialFingerprints" not in results[2]
    (ran,) = document["runs"][0]["invocations"]
    assert ran["executionSuccessful"] is False
    assert "no such file" in ran["toolExecutionNotifications"][0]["message"]["text"]


def test_sarif_of_nothing_is_valid_too() -> None:
    document = json.loads(told(Sarif, [], []))
    assert valid(document) == []
    assert document["runs"][0]["invocations"][0]["executionSuccessful"] is True

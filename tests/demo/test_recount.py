"""The recount sees every way in which requests and events can disagree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.demo.recount import Recount, recount


def request(number: int, *, complete: bool = True, status: int | None = 200, **more: Any) -> dict[str, Any]:
    base = {"service": "shop", "request_id": f"r{number}", "method": "GET", "path": "/me"}
    return base | {"complete": complete, "status": status} | more


def event(number: int, *, status: int = 200, **more: Any) -> dict[str, Any]:
    base = {"kind": "auth", "service": "shop", "request_id": f"r{number}", "outcome": "success", "count": 1}
    return base | {"status": status} | more


@pytest.fixture
def books(tmp_path: Path) -> Any:
    def count(requests: list[dict[str, Any]], events: list[dict[str, Any]]) -> Recount:
        path = tmp_path / "client.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in requests))
        return recount(path, events)

    return count


def test_books_that_agree(books: Any) -> None:
    requests = [request(1), request(2, complete=False), request(3, complete=False, status=None)]

    found = books(requests, [event(1), event(2), {"kind": "leak"} | event(9, kind="leak")])

    assert found.holds
    assert (found.requests, found.complete, found.cut, found.events) == (3, 1, 2, 2)
    assert found.to_dict()["outcomes"] == {"success": 2}


@pytest.mark.parametrize(
    ("requests", "events", "what"),
    [
        ([request(1), request(2)], [event(1)], "missing"),
        ([request(1)], [event(1), event(1)], "duplicated"),
        ([request(1)], [event(1, count=2)], "duplicated"),
        ([request(1)], [event(1), event(2)], "unexplained"),
        ([request(1)], [event(1), event(1, service="other")], "unexplained"),
        ([request(1)], [event(1, status=401)], "differing"),
        ([request(1), request(2, request_id=None)], [event(1)], "missing"),
    ],
)
def test_each_disagreement(books: Any, requests: list[Any], events: list[Any], what: str) -> None:
    found = books(requests, events)

    assert not found.holds
    assert {
        name for name in ("missing", "duplicated", "unexplained", "differing") if getattr(found, name)
    } == {what}  # fmt: skip
    assert found.to_dict()[what] == 1
    assert found.to_dict()[f"{what}_examples"]


def test_a_request_cut_before_it_had_a_name_explains_one_event(books: Any) -> None:
    requests = [request(1), request(2, request_id=None, complete=False, status=None)]

    assert books(requests, [event(1), event(7)]).holds
    assert not books(requests, [event(1), event(7), event(8)]).holds


@pytest.mark.parametrize(
    ("events", "holds"),
    [
        ([event(1), event(1, service="other")], True),
        ([event(1)], False),
        ([event(1), event(1, service="third")], False),
    ],
)
def test_what_a_service_asked_of_another_has_its_one_event_too(
    events: list[Any], holds: bool, books: Any, tmp_path: Path
) -> None:
    books([request(1)], [])
    assert recount(tmp_path / "client.jsonl", events, asked={("other", "r1"): 200}).holds is holds


def test_no_requests_prove_nothing(books: Any) -> None:
    assert not books([], []).holds

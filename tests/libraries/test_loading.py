"""What is known of libraries is loaded once they are, and costs nothing before; what fails of it fails alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bearerwatch import _guard
from bearerwatch.context import current, note
from bearerwatch.event import Outcome
from bearerwatch.integrations import libraries
from desk import Desk, facts
from fakes import opaque

LOADED = """
import json, sys
{first}
from bearerwatch.integrations.libraries import watch_imports
watch_imports()
watch_imports()
before = sorted(name for name in sys.modules if name.startswith("bearerwatch.integrations.libraries."))
{then}
after = sorted(name for name in sys.modules if name.startswith("bearerwatch.integrations.libraries."))
print(json.dumps([before, after, {last}]))
"""
STARLETTE = "bearerwatch.integrations.libraries.starlette__middleware__exceptions"


def loaded(first: str = "", then: str = "", last: str = "None") -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(first=first, then=then, last=last)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: list[object] = json.loads(done.stdout)
    return found


def test_nothing_is_loaded_of_what_is_not_used() -> None:
    assert loaded(then="import json, starlette.types") == [[], [], None]


def test_a_library_that_is_there_is_known_at_once() -> None:
    before, *_ = loaded(first="import starlette.middleware.exceptions")
    assert before == [STARLETTE]


def test_a_library_that_comes_is_known_from_then_on_and_is_its_own() -> None:
    found = loaded(
        then="import inspect, starlette.middleware.exceptions as it",
        last="[type(it.__loader__).__name__, type(it.__spec__.loader).__name__, 'class' in inspect.getsource(it)]",
    )
    assert found == [[], [STARLETTE], ["SourceFileLoader", "SourceFileLoader", True]]


def test_a_module_that_cannot_be_imported_says_so_as_ever() -> None:
    found = loaded(
        first="sys.modules['rest_framework'] = None",
        then="try:\n    import rest_framework.views\nexcept ModuleNotFoundError as error:\n    said = str(error)",
        last="said",
    )
    assert found[:2] == [[], []]
    assert "rest_framework" in str(found[2])


def test_of_each_it_is_known_what_it_was_tested_with() -> None:
    for adapter in libraries.adapters():
        assert adapter.distribution
        assert len(adapter.tested) == 2
        assert all(adapter.tested)


def test_one_that_fails_keeps_nothing_from_the_others(monkeypatch: pytest.MonkeyPatch, swallowing: None) -> None:
    def fails(_error: Exception) -> None:
        raise ZeroDivisionError

    def knows(_error: Exception) -> None:
        note(Outcome.REVOKED, reason="blacklisted", verified=True)

    def comes_too_late(_error: Exception) -> None:
        note(Outcome.EXPIRED)

    monkeypatch.setitem(libraries._told, "flask_raised", (fails, knows, comes_too_late))
    desk = Desk()
    exchange = desk.watch.open(facts(authorization=f"Bearer {opaque()}"))
    libraries.tell("flask_raised", ValueError())
    exchange.finish(401)
    exchange.end()
    (event,) = desk.kept.events
    assert (event.outcome, event.reason, event.verified) == (Outcome.REVOKED, "blacklisted", True)
    assert list(_guard.counts().values()) == [1]
    assert current.get() is None


def test_a_refusal_of_an_earlier_attempt_does_not_count() -> None:
    desk = Desk()
    exchange = desk.watch.open(facts(authorization=f"Bearer {opaque()}"))
    note(Outcome.EXPIRED, reason="past_exp")
    libraries.tell("flask_raised", ValueError())
    exchange.finish(401)
    exchange.end()
    assert desk.kept.events[-1].outcome is Outcome.INVALID


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "success"), (401, "expired"), (500, "error"), (429, "throttled")]
)
def test_what_is_noted_counts_if_the_answer_agrees(status: int, outcome: str) -> None:
    desk = Desk()
    exchange = desk.watch.open(facts(authorization=f"Bearer {opaque()}"))
    note(Outcome.EXPIRED, reason="past_exp", verified=True, subject="41")
    exchange.finish(status)
    exchange.end()
    assert desk.kept.events[-1].outcome == outcome


def test_a_context_that_is_shown_does_not_show_the_token() -> None:
    token = opaque()
    desk = Desk()
    exchange = desk.watch.open(facts(authorization=f"Bearer {token}"))
    context = current.get()
    assert context is not None
    assert context.credential == token
    assert token not in repr(context)
    exchange.finish(200)
    assert context.credential is None
    exchange.end()

"""The benchmark of detection measures what it says, on a small day."""

from __future__ import annotations

from bearerwatch.detect.rulebook import load_rules
from bench import detect


def test_a_small_day_is_measured():
    measured = {one.row.id: one for one in detect.run(["detect.simulate", "detect.batch"], quick=True)}
    assert set(measured) == {"detect.simulate", "detect.batch"}
    assert measured["detect.batch"].row.ours > 1_000
    assert "12 rules (0 of which ask for the past)" in measured["detect.batch"].how


def test_its_rules_are_rules():
    assert set(detect.TWELVE) <= {rule.name for rule in load_rules()}
    assert len(detect.TWELVE) == 12

"""Small rules with short windows, so that a few events decide much."""

from __future__ import annotations

from datetime import UTC, datetime

from bearerwatch.detect.ir import (
    And,
    Before,
    Compare,
    Condition,
    Correlation,
    EventCount,
    Not,
    Op,
    Rule,
    Selection,
    Sequence,
    ValueCount,
)
from bearerwatch.detect.islands import micros

AUTH = Compare("kind", Op.IN, ("auth",))


def rule(name: str, correlation: Correlation, version: int = 1) -> Rule:
    return Rule(
        name=name,
        uuid="00000000-0000-4000-8000-000000000000",
        version=version,
        title=name.replace("_", " "),
        level="high",
        status="stable",
        description="",
        correlation=correlation,
    )


def selection(name: str, *conditions: Condition) -> Selection:
    return Selection(name, And((AUTH, *conditions)))


def outcome(*values: str) -> Compare:
    return Compare("outcome", Op.IN, values)


FAILED = selection("failed", outcome("invalid", "expired"))
LET_IN = selection("let_in", outcome("success"))
MISSING = selection("missing", outcome("missing"))
NOT_LET_IN = selection("not_let_in", Not(outcome("success", "anonymous")))

FIVE_IN_TEN = rule("five_in_ten", EventCount(FAILED, ("client_ip",), 10, 5))
THREE_TOKENS = rule("three_tokens", ValueCount(NOT_LET_IN, ("client_ip", "service"), 20, 3, "presented_id"))
SHARED = rule("shared", ValueCount(LET_IN, ("presented_id",), 40, 3, "client_ip"))
ONE = rule("one", EventCount(selection("expired", outcome("expired")), ("presented_id",), 15, 1))
CHAINED = rule(
    "chained", Sequence((EventCount(FAILED, ("client_ip",), 10, 3), LET_IN), group_by=("client_ip",), seconds=8)
)
THREE_STEPS = rule("three_steps", Sequence((MISSING, FAILED, LET_IN), group_by=("client_ip",), seconds=12))
MIXED = rule(
    "mixed",
    Sequence(
        (FAILED, ValueCount(MISSING, ("client_ip",), 6, 2, "path"), EventCount(LET_IN, ("client_ip",), 5, 2)),
        group_by=("client_ip",),
        seconds=15,
    ),
)
UNTIL = datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
"""Half a minute into every world."""
EXCEPTED = rule(
    "excepted",
    EventCount(
        selection(
            "failed",
            outcome("invalid", "expired"),
            Not(And((Compare("service", Op.IN, ("shop",)), Before(micros(UNTIL))))),
        ),
        ("client_ip",),
        12,
        6,
    ),
)
ALL = (FIVE_IN_TEN, THREE_TOKENS, SHARED, ONE, CHAINED, THREE_STEPS, MIXED, EXCEPTED)

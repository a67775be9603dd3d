"""Small rules with short windows, so that a few events decide much."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

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
from bearerwatch.detect.ir_windows import Bound, Function, Joint, Measure, Met, Quantor, Relation, Temporal
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

# -- windows that say more --------------------------------------------------------------------------------------------

IP = ("client_ip",)
PEER = Selection("peer", outcome("invalid", "expired"), aliases=(("address", "peer_ip"),))
CLIENT = Selection("client", outcome("success"), aliases=(("address", "client_ip"),))
FINE = ("client_ip", "presented_id")


def every(*steps: int) -> Joint:
    return Joint(Quantor.ALL, tuple(map(Met, steps)))


def but_not(wanted: int, *others: int) -> Joint:
    return Joint(Quantor.ALL, (Met(wanted), Joint(Quantor.NONE, tuple(map(Met, others)))))


def measured(function: Function, *bounds: tuple[str, str], field: str | None = None, **more: Any) -> Measure:
    given = {"sources": (FAILED,), "group_by": IP, "seconds": 10} | more
    limits = tuple(Bound(Relation(relation), Decimal(number)) for relation, number in bounds)
    return Measure(function=function, bounds=limits, field=field, **given)


STRANGER = Temporal((NOT_LET_IN, LET_IN), FINE, 20, but_not(0, 1))
MORE = (
    rule("together", Temporal((MISSING, FAILED, LET_IN), IP, 10, every(0, 1, 2))),
    rule("any_two", Temporal((MISSING, FAILED, LET_IN), IP, 6, Joint(Quantor.ANY, (every(0, 1), every(1, 2))))),
    rule("counts_together", Temporal((EventCount(FAILED, IP, 6, 3), MISSING), IP, 12, every(0, 1))),
    rule(
        "often_together",
        measured(Function.COUNT, ("gte", "4"), sources=(Temporal((MISSING, FAILED), IP, 5, every(0, 1)),)),
    ),
    rule("aliased", Sequence((PEER, CLIENT), ("address",), 15)),
    rule("aliased_count", measured(Function.COUNT, ("gt", "5"), sources=(PEER, CLIENT), group_by=("address",))),
    rule(
        "chained_order",
        Sequence((EventCount(FAILED, FINE, 20, 2), LET_IN), IP, 10),
    ),
)
"""What further events never end."""
FICKLE = (
    rule("few", measured(Function.COUNT, ("lt", "3"))),
    rule("range", measured(Function.COUNT, ("gte", "3"), ("lte", "5"))),
    rule("exactly", measured(Function.DISTINCT, ("eq", "2"), field="presented_id")),
    rule("other_than", measured(Function.DISTINCT, ("neq", "1"), field="path")),
    rule("total", measured(Function.SUM, ("gte", "8"), field="duration_us")),
    rule("average", measured(Function.AVERAGE, ("gt", "2.5"), field="duration_us")),
    rule("median", measured(Function.MEDIAN, ("lte", "2"), field="duration_us")),
    rule("ninetieth", measured(Function.PERCENTILE, ("gte", "4"), field="duration_us", percentile=90)),
    rule("guessed_not_shared", Temporal((EventCount(FAILED, IP, 10, 3), LET_IN), IP, 10, but_not(0, 1))),
    rule("failed_only", Temporal((FAILED, LET_IN), IP, 8, but_not(0, 1))),
    rule(
        "either_alone",
        Temporal(
            (FAILED, MISSING, LET_IN, measured(Function.COUNT, ("lt", "3"), sources=(LET_IN,))),
            IP,
            8,
            Joint(Quantor.ANY, (but_not(0, 2), but_not(1, 3))),
        ),
    ),
    rule("strangers", measured(Function.DISTINCT, ("gte", "3"), field="presented_id", sources=(STRANGER,))),
    rule("then_let_in", Sequence((STRANGER, LET_IN), IP, 12)),
    rule("aliased_few", measured(Function.COUNT, ("lte", "4"), sources=(PEER, CLIENT), group_by=("address",))),
)
"""What further events may end: told is what held when it was judged."""

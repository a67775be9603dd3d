"""More of a key than its own past explains: oracle, query and ticks agree."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings

from bearerwatch.detect.ir_keyed import Baseline
from detect.keyed_world import World, check, some, worlds
from detect.rules import FAILED, rule, selection

ANYTHING = selection("known")
BASELINE = rule(
    "baseline",
    Baseline(FAILED, ANYTHING, ("service",), 20, floor=4, ratio=1.5, rank=2, block=20, blocks=4, span=15, settle=5),
)


def fields(rnd: random.Random) -> dict[str, Any]:
    return {
        "outcome": rnd.choice(["success", "invalid", "invalid"]),
        "service": rnd.choice(["shop", "shop", "bank", None]),
        "count": rnd.choice([1, 1, 1, 3]),
    }


def test_oracle_query_and_ticks_agree() -> None:
    episodes = 0

    @settings(some, max_examples=5)
    @given(worlds)
    def run(world: World) -> None:
        nonlocal episodes
        episodes += check(world, BASELINE, fields)

    run()
    assert episodes > 3, "they agree on nothing"

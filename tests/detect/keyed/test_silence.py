"""Who was heard of regularly and is not any more: oracle, query and ticks agree."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings

from bearerwatch.detect.ir_keyed import Silence
from detect.keyed_world import World, check, some, worlds
from detect.rules import rule, selection

SILENCE = rule(
    "silence",
    Silence(selection("any"), ("service",), 15, floor=10, ratio=1.5, sightings=3, span=15, memory=60, settle=5),
)


def fields(rnd: random.Random) -> dict[str, Any]:
    return {"service": rnd.choice(["shop", "shop", "bank", None])}


def test_oracle_query_and_ticks_agree() -> None:
    episodes = 0

    @settings(some, max_examples=5)
    @given(worlds)
    def run(world: World) -> None:
        nonlocal episodes
        episodes += check(world, SILENCE, fields)

    run()
    assert episodes > 3, "they agree on nothing"

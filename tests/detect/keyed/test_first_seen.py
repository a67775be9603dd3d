"""A value that a known key never had before: oracle, query and ticks agree."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings

from bearerwatch.detect.ir_keyed import FirstSeen, Learned
from detect.keyed_world import World, check, some, worlds
from detect.rules import LET_IN, rule

LEARNED = Learned(by=("subject_id",), sightings=1, alone=2, span=10, most=4, memory=120)
COUNTRY = rule("country", FirstSeen(LET_IN, ("token_id",), 30, ("country", "asn"), LEARNED, 5))
AGENT = rule(
    "agent",
    FirstSeen(LET_IN, ("token_id", "service"), 30, ("user_agent",), Learned((), 1, 1, 10, 9, 300), 10),
)


def fields(rnd: random.Random) -> dict[str, Any]:
    return {
        "outcome": rnd.choice(["success", "success", "success", "invalid"]),
        "token_id": rnd.choice(["k00000000:" + "0" * 32, "k00000000:" + "1" * 32, None]),
        "subject_id": rnd.choice(["ann", None]),
        "service": "shop",
        "country": rnd.choice(["DE", "DE", "DE", "US", "FR", None]),
        "asn": rnd.choice([1, 1, 2, 3, None]),
        "user_agent": rnd.choice(["a", "a", "a", "b", "c"]),
        "count": rnd.choice([1, 1, 3]),
    }


@pytest.mark.parametrize("which", [COUNTRY, AGENT], ids=lambda r: r.name)
def test_oracle_query_and_ticks_agree(which: Any) -> None:
    episodes = 0

    @settings(some, max_examples=5)
    @given(worlds)
    def run(world: World) -> None:
        nonlocal episodes
        episodes += check(world, which, fields)

    run()
    assert episodes > 3, "they agree on nothing"

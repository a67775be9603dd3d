"""One key in two places too far apart: oracle, query and ticks agree."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings

from bearerwatch.detect.ir_keyed import Learned, Travel
from detect.keyed_world import World, check, some, worlds
from detect.rules import LET_IN, rule

LEARNED = Learned(by=("subject_id",), sightings=1, alone=3, span=10, most=6, memory=150)
TRAVEL = rule(
    "travel",
    Travel(
        LET_IN,
        ("token_id",),
        60,
        kilometres=300,
        speed=200_000,
        uncertainty=50,
        elsewhere=(9,),
        learned=LEARNED,
        settle=5,
    ),
)
PLACES = [
    ("DE", 52.5, 13.4),
    ("DE", 52.5, 13.4),
    ("DE", 48.1, 11.6),
    ("US", 38.9, -77.0),
    ("US", 37.4, -122.1),
    ("AU", -33.9, 151.2),
    ("FR", 48.9, 2.3),
    (None, 1.0, 1.0),
    ("GB", None, None),
    ("IT", 41.9, None),
]


def fields(rnd: random.Random) -> dict[str, Any]:
    country, lat, lon = rnd.choice(PLACES[: rnd.choice([3, 3, 10])])
    return {
        "outcome": rnd.choice(["success", "success", "success", "invalid"]),
        "token_id": rnd.choice(["k00000000:" + "0" * 32, "k00000000:" + "1" * 32, None]),
        "subject_id": rnd.choice(["ann", None, None]),
        "country": country,
        "user_agent": rnd.choice(["a", "a", "b", None]),
        "lat": lat,
        "lon": lon,
        "asn": rnd.choice([1, 2, 3, 9, None]) if rnd.random() < 0.5 else (len(str(lat)) + 10),
    }


def test_oracle_query_and_ticks_agree() -> None:
    episodes = 0

    @settings(some, max_examples=5)
    @given(worlds)
    def run(world: World) -> None:
        nonlocal episodes
        episodes += check(world, TRAVEL, fields)

    run()
    assert episodes > 3, "they agree on nothing"

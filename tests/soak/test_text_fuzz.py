"""The engine, for as long as one likes: no exception, no token that survives, no text that takes forever.

Where a token stands whole, :class:`soak.mixes.Mixer` says: alone, within a line, a traceback or a value of JSON, and
with other lines before and behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from bearerwatch import redact_text
from bearerwatch.redact import gate
from soak.mixes import ALIKE, Mixer, survivors
from soak.rounds import LIMIT, SECONDS, Round, pure, rounds, spent


@pytest.fixture(autouse=True)
def compiled() -> None:
    assert gate.PREFILTER.ready(), "the accel extra belongs to the test environment"


def text(turn: Round) -> None:
    mix = Mixer(turn)()

    clean = redact_text(mix.text)

    assert survivors(mix.secrets, clean) == [], mix.text
    assert redact_text(clean) == clean, mix.text
    with pure():
        assert redact_text(mix.text) == clean, mix.text


def alike(turn: Round) -> None:
    line = Mixer(turn).around(ALIKE)
    assert redact_text(line) == line
    with pure():
        assert redact_text(line) == line


def long(turn: Round) -> None:
    """What is said over and over: twice as much of it takes about twice as long."""
    mixer = Mixer(turn)
    lead, unit, end = mixer.unit(), mixer.unit(), mixer.rng.choice(("", "\n", '"', mixer.unit()))

    def took(size: int) -> float:
        made = lead + unit * (size // len(unit)) + end
        return spent(lambda: redact_text(made))

    half, whole = took(50_000), took(100_000)
    if whole > 1 and whole > 3 * half:
        half, whole = min(half, took(50_000)), min(whole, took(100_000))
    assert whole < LIMIT, (lead, unit, end)
    assert whole < 1 or whole < 3 * half, (lead, unit, end)


@pytest.mark.parametrize(("check", "few"), [(text, 400), (alike, 1000), (long, 12)])
def test_a_few(check: Callable[[Round], None], few: int) -> None:
    rounds(check, few=few)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("checks", [(text, alike), (long,)], ids=["text", "long"])
def test_for_long(checks: Sequence[Callable[[Round], None]]) -> None:
    rounds(*checks)

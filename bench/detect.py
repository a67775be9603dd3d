"""Detection: days of simulated traffic at once, and events as they arrive, beside engines of others."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bearerwatch.detect.batch import Batch
from bearerwatch.detect.given import given
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.ir_keyed import Keyed
from bearerwatch.detect.rulebook import load_rules
from bearerwatch.simulate.files import write
from bearerwatch.simulate.simulation import Plan, Simulation
from bearerwatch.store.engine import connect
from bench import _detect_live
from bench._rows import Measured, Row

_METHOD = """\
`detect.batch` and `detect.batch_all`: one simulated day with its attacks (`bearerwatch simulate --seed 1`), as Parquet
with the lake's columns; what `bearerwatch rules backtest` does with it by one thread and at most 4 GB of memory, from
reading the files to episodes. `detect.batch` is of {twelve}; `detect.batch_all` is of every rule of the package. The
figure is events by seconds of processor time, the best of the rounds.

`detect.simulate`: making such a day, Parquet included.

"""
TWELVE = (
    "brute_force_address",
    "brute_force_user_agent",
    "expired_token_use",
    "forged_token",
    "function_probing",
    "leaked_token",
    "low_and_slow",
    "object_enumeration",
    "query_token_use",
    "revoked_token_use",
    "token_guessing",
    "token_sharing",
)
METHOD = _METHOD.format(twelve="twelve threshold rules: " + ", ".join(f"`{name}`" for name in TWELVE))
METHOD += _detect_live.METHOD
IDS = (
    "detect.batch",
    "detect.batch_all",
    "detect.live",
    "detect.simulate",
    "detect.state_mb",
    "detect.tick_p99_ms",
)
_MILLION = 1_000_000


def run(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure *ids*, some of ``IDS``."""
    day = [name for name in ids if name in ("detect.batch", "detect.batch_all", "detect.simulate")]
    if day:
        yield from _day(day, quick=quick)
    if "detect.live" in ids:
        yield from _detect_live.live(quick=quick)
    if "detect.state_mb" in ids:
        yield _detect_live.remembered(quick=quick)[0]
    if "detect.tick_p99_ms" in ids:
        yield from _detect_live.ticks(quick=quick)


def _day(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    events, rounds = (50_000, 1) if quick else (2 * _MILLION, 2)
    with TemporaryDirectory(prefix="bearerwatch-bench-") as name:
        folder = Path(name)
        began = time.process_time()
        made = write(Simulation(Plan(seed=1, events=events)), folder / "day", "parquet")
        spent = time.process_time() - began
        if "detect.simulate" in ids:
            row = Row(id="detect.simulate", unit="events/s", ours=made / spent, limit=None if quick else 200_000)
            yield Measured(row=row, how=f"{made:,} events with their attacks")
        rules = load_rules()
        few = [rule for rule in rules if rule.name in TWELVE]
        for which, chosen, limit in (("detect.batch", few, _MILLION), ("detect.batch_all", rules, None)):
            if which in ids:
                best, episodes = min(_batch(folder, chosen) for _ in range(rounds))
                keyed = sum(isinstance(rule.correlation, Keyed) for rule in chosen)
                row = Row(id=which, unit="events/s", ours=made / best, limit=None if quick else limit)
                how = f"{made:,} events, {len(chosen)} rules ({keyed} of which ask for the past), {episodes} episodes, "
                yield Measured(row=row, how=how + f"{rounds} rounds; {best:.1f} s of one core")


def _batch(folder: Path, rules: Sequence[Rule]) -> tuple[float, int]:
    """Seconds of processor time, and episodes."""
    con = connect(folder / "tmp", memory_limit="4GB", threads=1)
    try:
        began = time.process_time()
        relation = given(con, [str(folder / "day" / "events")], folder).relation
        episodes = sum(1 for _ in Batch(con, relation, rules)())
        return time.process_time() - began, episodes
    finally:
        con.close()

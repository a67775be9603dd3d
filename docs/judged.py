"""Judges the rules on simulated days: ``python docs/judged.py`` writes ``judged.json``, for generate.py.

Nobody looks at these days while writing a rule; when somebody has, they are others.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bearerwatch.detect.batch import Batch
from bearerwatch.detect.given import given
from bearerwatch.detect.judging import judge
from bearerwatch.detect.rulebook import load_rules
from bearerwatch.simulate.files import write
from bearerwatch.simulate.simulation import Plan, Simulation
from bearerwatch.store.engine import connect

KEPT = Path(__file__).with_name("judged.json")
SEEDS = range(2_027_001, 2_027_011)
EVENTS = 200_000


@dataclass
class Sum:
    """One rule over all days."""

    marked: int = 0
    caught: int = 0
    true: int = 0
    other: int = 0
    false: int = 0
    worst_recall: float = 1.0
    worst_precision: float = 1.0
    missed: list[str] = field(default_factory=list)


def judged(seeds: range, events: int) -> tuple[int, dict[str, Sum]]:
    """How many events there were, and how each rule did."""
    rules = load_rules()
    sums = {rule.name: Sum() for rule in rules}
    made = 0
    for seed in seeds:
        with TemporaryDirectory(prefix="bearerwatch-") as name:
            folder = Path(name)
            simulation = Simulation(Plan(seed=seed, events=events))
            made += write(simulation, folder / "day", "parquet")
            con = connect(folder / "tmp", memory_limit="2GB")
            relation = given(con, [str(folder / "day" / "events")], folder).relation
            found = list(Batch(con, relation, rules)())
            con.close()
        for verdict in judge(found, simulation.truth, {rule.name: rule.window for rule in rules}):
            one = sums[verdict.rule]
            one.marked += verdict.marked
            one.caught += verdict.caught
            one.true += verdict.true
            one.other += verdict.other
            one.false += verdict.false
            one.missed += [f"{seed}: {name}" for name in verdict.missed]
            one.worst_recall = min(one.worst_recall, 1.0 if verdict.recall is None else verdict.recall)
            one.worst_precision = min(one.worst_precision, 1.0 if verdict.precision is None else verdict.precision)
        sys.stderr.write(f"seed {seed}: {len(found)} episodes\n")
    return made, sums


def main() -> int:
    """Measure and keep."""
    made, sums = judged(SEEDS, EVENTS)
    kept = {
        "seeds": [SEEDS.start, SEEDS.stop - 1],
        "events": made,
        "rules": {name: vars(one) for name, one in sorted(sums.items())},
    }
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

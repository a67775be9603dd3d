"""Writes to a lake until it is killed; run as ``crash_worker.py <state folder> <state URL> <seed> <grace>``.

Each committed transaction is acknowledged on standard output by the number of events committed since the beginning.
"""

from __future__ import annotations

import random
import sys
from datetime import timedelta
from pathlib import Path

from bearerwatch.store import offsets
from bearerwatch.store.engine import connect
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State, StateBusy
from store.made import HOUR, line

KEY = ("spool:test", "segment")
LATER = HOUR + timedelta(days=365)


def main(folder: Path, url: str, seed: int, grace: float) -> None:
    rng = random.Random(seed)
    state = State(url)
    state.migrate()
    con = connect(folder / "tmp")
    lake = Lake(folder / "lake", state, con, grace=timedelta(seconds=grace))
    lake.sweep_orphans()
    with state.read() as conn:
        done = offsets.get(conn, *KEY) or 0
    sys.stdout.write(f"{done}\n")
    sys.stdout.flush()
    while True:
        for _ in range(rng.randrange(1, 4)):
            count = rng.randrange(0, 60)
            lake.append([line(done + n, HOUR + timedelta(hours=(done + n) % 3)) for n in range(count)])
            done += count
        try:
            with state.begin() as tx:
                lake.publish(tx)
                offsets.save(tx, {KEY: done})
        except StateBusy:
            lake.rolled_back()
            continue
        lake.committed()
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()
        if rng.random() < 0.4:
            lake.compact(LATER + timedelta(seconds=done))


main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))

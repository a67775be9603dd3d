"""``python -m bench [--only PREFIX] [--quick]``; ``--list`` and ``--docs`` run nothing."""

from __future__ import annotations

import argparse
import sys

from bench import _docs, _rows
from bench._areas import areas


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for, keep the rows, write the docs; 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks beside peers in one run.")
    parser.add_argument("--only", default="", metavar="PREFIX", help="run those whose id begins with PREFIX")
    parser.add_argument("--quick", action="store_true", help="few rounds, nothing kept: a first look while tuning")
    parser.add_argument("--list", action="store_true", help="list the ids")
    parser.add_argument(
        "--docs", action="store_true", help="make docs/benchmarks.md anew from the kept rows, run nothing"
    )
    options = parser.parse_args(arguments)
    if options.docs:
        _docs.write()
        return 0
    chosen = [(area, [name for name in area.IDS if name.startswith(options.only)]) for area in areas()]
    chosen = [(area, ids) for area, ids in chosen if ids]
    if not chosen:
        known = ", ".join(name for area in areas() for name in area.IDS)
        print(f"no benchmark's id begins with {options.only!r}; there are: {known}", file=sys.stderr)
        return 2
    if options.list:
        print(*(name for _, ids in chosen for name in ids), sep="\n")
        return 0
    good = True
    for area, ids in chosen:
        for measured in area.run(ids, quick=options.quick):
            _docs.show(measured)
            good = good and measured.row.passes
            if not options.quick:
                _rows.keep([measured], quick=False)
                _docs.write()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

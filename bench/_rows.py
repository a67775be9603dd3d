"""A benchmark's row, and the file the rows are kept in."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "Measured", "Row", "conditions", "keep", "load"]

RESULTS = Path(__file__).with_name("results.json")
"""All rows; a run replaces the rows of the ids it measured and keeps the others."""
CONDITIONS = "conditions.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One benchmark: our figure, the peers' figures of the same run, and the most it may be; of a rate, the least."""

    id: str
    unit: str
    ours: float
    peers: dict[str, float] = field(default_factory=dict)
    limit: float | None = None

    @property
    def rate(self) -> bool:
        """Whether it is so much a second: then more is better."""
        return self.unit.endswith("/s")

    @property
    def passes(self) -> bool:
        """Whether our figure is within the limit."""
        if self.limit is None:
            return True
        return self.ours >= self.limit if self.rate else self.ours <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A row and how it came about: text for the docs, such as the sample size."""

    row: Row
    how: str


def conditions(how: str, *, quick: bool) -> dict[str, Any]:
    """What the machine is and how the row was measured. No host name, no path."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "load": round(os.getloadavg()[1], 1),
        "quick": quick,
        "how": how,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    except OSError:
        pass
    return platform.processor() or "unknown"


def load(results: Path = RESULTS) -> tuple[list[Row], dict[str, dict[str, Any]]]:
    """The rows kept in *results* and, by id, the conditions they were measured under."""
    if not results.exists():
        return [], {}
    rows = [Row(**row) for row in json.loads(results.read_text(encoding="utf-8"))]
    beside = results.with_name(CONDITIONS)
    under = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    return rows, under


def keep(measured: list[Measured], *, quick: bool, results: Path = RESULTS) -> None:
    """Merge *measured* into *results*: rows of other ids stay as they are."""
    rows, under = load(results)
    merged = {row.id: row for row in rows}
    for one in measured:
        merged[one.row.id] = one.row
        under[one.row.id] = conditions(one.how, quick=quick)
    _write(results, [asdict(merged[name]) for name in sorted(merged)])
    _write(results.with_name(CONDITIONS), {name: under[name] for name in sorted(under) if name in merged})


def _write(path: Path, value: Any) -> None:
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)

"""``docs/benchmarks.md``, made from the rows. Nobody types a figure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import _rows
from bench._areas import areas
from bench._rows import Measured, Row

__all__ = ["DOCS", "render", "show", "write"]

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks.md"

_HEAD = """\
# Benchmarks

`make bench` measured and wrote this page from `bench/results.json`; `make bench ONLY=middleware` measures the ids
that begin so. Peers are measured in the same run, on the same machine, under the same conditions.
Smaller is better, and *ours / limit* of at most 1 passes; of what is so much a second (MB/s) more is better, and at
least 1 passes.
"""


def show(measured: Measured) -> None:
    """Print one row for the one who waits for it."""
    row = measured.row
    print(f"{row.id}: {_number(row.ours)} {row.unit}{_verdict(row)}")
    for name, value in _ranked(row, row.peers.items()):
        print(f"    {name:<24} {_number(value):>9} {row.unit}   ours/peer {_ratio(row.ours, value)}")
    print(f"    {measured.how}", flush=True)


def _ranked(row: Row, figures: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """The best first."""
    return sorted(figures, key=lambda one: one[1], reverse=row.rate)


def _verdict(row: Row) -> str:
    if row.limit is None:
        return ""
    return f", limit {_number(row.limit)}: {'passes' if row.passes else 'FALLS SHORT'}"


def write(results: Path = _rows.RESULTS, docs: Path = DOCS) -> None:
    """Make the page anew from *results*."""
    rows, under = _rows.load(results)
    docs.parent.mkdir(exist_ok=True)
    docs.write_text(render(rows, under), encoding="utf-8")


def render(rows: list[Row], under: dict[str, dict[str, Any]]) -> str:
    """The page as Markdown."""
    parts = [_HEAD, _summary(rows)]
    for area in areas():
        mine = [row for row in rows if row.id in area.IDS]
        if mine:
            prefix = area.IDS[0].partition(".")[0]
            parts.append(f"## {prefix}\n\n{area.METHOD}\n")
            parts += [_section(row, under.get(row.id, {})) for row in mine]
    return "\n".join(parts)


def _summary(rows: list[Row]) -> str:
    lines = ["| id | ours | limit | ours / limit | |", "|---|---:|---:|---:|---|"]
    for row in rows:
        limit = "" if row.limit is None else f"{_number(row.limit)} {row.unit}"
        ratio = "" if row.limit is None else _ratio(row.ours, row.limit)
        mark = "" if row.limit is None else "passes" if row.passes else "**falls short**"
        lines.append(f"| `{row.id}` | {_number(row.ours)} {row.unit} | {limit} | {ratio} | {mark} |")
    return "\n".join(lines) + "\n"


def _section(row: Row, under: dict[str, Any]) -> str:
    lines = [f"### `{row.id}`\n"]
    if row.peers:
        lines += [f"| | {row.unit} | ours / peer |", "|---|---:|---:|"]
        everyone = [("**bearerwatch**", row.ours), *row.peers.items()]
        for name, value in _ranked(row, everyone):
            ratio = "" if value is row.ours and name.startswith("**") else _ratio(row.ours, value)
            lines.append(f"| {name} | {_number(value)} | {ratio} |")
        lines.append("")
    if under:
        lines.append(f"{_sentence(under['how'])}")
        lines.append(
            f"Measured {under['date']} with {under['python']} on {under['system']}, {under['cores']} cores "
            f"({under['processor']}){_busy(under)}."
        )
        lines.append("")
    return "\n".join(lines)


def _busy(under: dict[str, Any]) -> str:
    """A word of warning where the machine had more to do than this."""
    load = under.get("load", 0.0)
    return f"; the machine was busy with other work too (load average {load:.1f})" if load > under["cores"] else ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _ratio(ours: float, other: float) -> str:
    return f"{ours / other:.2f}" if other > 0 else "-"


def _number(value: float) -> str:
    return f"{value:,.3f}" if abs(value) < 1 else f"{value:,.1f}"

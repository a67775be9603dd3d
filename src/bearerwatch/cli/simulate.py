"""``bearerwatch simulate``: days of made-up traffic with attacks in them, to rehearse with."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bearerwatch.cli._options import Json, duration
from bearerwatch.cli._output import document, say, show
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from bearerwatch.simulate.simulation import Plan, Simulation

__all__ = ["app", "simulate"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_TUNED = re.compile(r"([a-z_]+)\.([a-z_]+)=(\d{1,9})(?:-(\d{1,9}))?")
_RANGES = frozenset({"events", "seconds"})


@app.command(
    epilog="Example: bearerwatch simulate --out ./rehearsal --events 1000000 --seed 7\n\n"
    "Example: bearerwatch rules backtest --events ./rehearsal/events --truth ./rehearsal/truth.json\n\n"
    "Example: bearerwatch simulate --replay ./state/spool --speed 60 --truth ./truth.json"
)
def simulate(
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where to write events/ and truth.json.", show_default=False),
    ] = None,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="Of --out: parquet or ndjson.")] = "parquet",
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay", metavar="SPOOL", help="Send the events to a collector's spool instead.", show_default=False
        ),
    ] = None,
    speed: Annotated[float, typer.Option(min=1, max=1e6, help="Of --replay: simulated seconds a second.")] = 1.0,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="FILE", help="Of --replay: where to write what happened.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same number makes the same days.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=366, help="How many.")] = 1,
    start: Annotated[str, typer.Option(metavar="DATE", help="The first one.")] = "2026-03-02",
    events: Annotated[int, typer.Option(min=1000, max=10**9, help="Events on a weekday, about.")] = 200_000,
    people: Annotated[
        int | None, typer.Option(min=20, max=10**7, help="How many call; one to 100 events.", show_default=False)
    ] = None,
    attacks: Annotated[
        float, typer.Option(min=0, max=1000, help="Multiple of each kind's number a day; 0: none.")
    ] = 1.0,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Only attacks of this kind; may be repeated.", show_default=False),
    ] = None,
    tune: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND.KNOB=N[-M]",
            help="Turn a knob: each_day, events, seconds, at_least or window; may be repeated.",
            show_default=False,
        ),
    ] = None,
    late: Annotated[float, typer.Option(min=0, max=1, help="Share of events that arrive late.")] = 0.001,
    lateness: Annotated[str, typer.Option(help="How late at most.")] = "60s",
    kinds: Annotated[bool, typer.Option("--kinds", help="List the kinds of attack and their knobs.")] = False,
    as_json: Json = False,
) -> None:
    """Make days of traffic with attacks in them, and a file that says what they were.

    No service is called and no token is made: events carry made-up fingerprints, and addresses that are routed
    nowhere (240.0.0.0/4, 2001:db8::/32).

    With --json: one document, {"events", "attacks", "truth", "seconds"}; of --kinds a list.
    """
    from bearerwatch.simulate.simulation import Plan, Simulation  # noqa: PLC0415 - loads DuckDB and NumPy

    if kinds:
        _list(as_json=as_json)
        return
    if (out is None) == (replay is None):
        raise ConfigurationError("say either --out DIR, for files, or --replay SPOOL, for a collector")
    if form not in ("parquet", "ndjson"):
        raise ConfigurationError("--format is parquet or ndjson")
    plan = Plan(
        seed=seed,
        start=_midnight(start),
        days=days,
        events=events,
        people=people,
        attacks=attacks,
        only=_known(only or []),
        tuned=_tuned(tune or []),
        late=late,
        lateness=duration(lateness, "--lateness"),
    )
    simulation = Simulation(plan)
    if out is not None:
        result = _write(simulation, out.expanduser(), form)
    else:
        result = _replay(simulation, Path(replay or ""), speed, truth, plan)
    if as_json:
        document(result)
    else:
        say(f"{result['events']:,} events, {result['attacks']} attacks, {result['seconds']:.1f} s")
        if result["truth"] is not None:
            say(f"what they were stands in {result['truth']}")


def _write(simulation: Simulation, folder: Path, form: str) -> dict[str, Any]:
    from time import monotonic  # noqa: PLC0415

    from bearerwatch.simulate.files import write  # noqa: PLC0415

    began = monotonic()
    written = write(simulation, folder, form)
    marked = simulation.truth.marked
    return {
        "events": written,
        "attacks": sum(one.attack for one in marked),
        "truth": str(folder / "truth.json"),
        "seconds": round(monotonic() - began, 3),
    }


def _replay(simulation: Simulation, spool: Path, speed: float, truth: Path | None, plan: Plan) -> dict[str, Any]:
    from time import monotonic  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    from bearerwatch.simulate.replay import Replay  # noqa: PLC0415

    began = monotonic()
    say(f"{plan.days * 24 / speed:.2f} hours to go; Ctrl-C ends it earlier")
    sent, told = Replay(simulation, spool.expanduser(), speed)()
    if truth is not None:
        truth.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1))
    return {
        "events": sent,
        "attacks": sum(one.attack for one in told.marked),
        "truth": None if truth is None else str(truth),
        "seconds": round(monotonic() - began, 3),
    }


def _list(*, as_json: bool) -> None:
    from dataclasses import asdict  # noqa: PLC0415

    from bearerwatch.simulate.attacks import ATTACKS  # noqa: PLC0415

    if as_json:
        document([{"kind": one.name, "rules": list(one.rules), **asdict(one.knob)} for one in ATTACKS.values()])
        return
    for one in ATTACKS.values():
        knob = one.knob
        told = f"each_day={knob.each_day} events={knob.events[0]}-{knob.events[1]} "
        told += f"seconds={knob.seconds[0]}-{knob.seconds[1]} at_least={knob.at_least} window={knob.window}"
        show(f"{one.name:<26} {told}")


def _known(only: list[str]) -> tuple[str, ...]:
    from bearerwatch.simulate.attacks import ATTACKS  # noqa: PLC0415

    if set(only) - set(ATTACKS):
        raise ConfigurationError(f"--only is a kind of attack: {', '.join(ATTACKS)}")
    return tuple(only)


def _tuned(tune: list[str]) -> dict[str, dict[str, int | tuple[int, int]]]:
    from bearerwatch.simulate.attack import Knob  # noqa: PLC0415
    from bearerwatch.simulate.attacks import ATTACKS  # noqa: PLC0415

    found: dict[str, dict[str, int | tuple[int, int]]] = {}
    for text in tune:
        match = _TUNED.fullmatch(text)
        if match is None or match[1] not in ATTACKS or match[2] not in Knob.__dataclass_fields__:
            raise ConfigurationError(
                "--tune is KIND.KNOB=N or N-M, such as token_guessing.events=40-80; --kinds lists both"
            )
        low, high = int(match[3]), int(match[4] or match[3])
        if high < low or (match[2] not in _RANGES and match[4]) or (match[2] != "each_day" and low < 1):
            raise ConfigurationError(
                "--tune takes a number of at least 1 (each_day: 0), and a range N-M only for events and seconds"
            )
        found.setdefault(match[1], {})[match[2]] = (low, high) if match[2] in _RANGES else low
    return found


def _midnight(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        raise ConfigurationError("--start is a date such as 2026-03-02") from None

"""Days are the same for the same seed, are ordinary where nothing is injected, and say what was."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pytest

from bearerwatch.detect.truth import Truth, read_truth
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import REASONS, AuthEvent
from bearerwatch.simulate.attacks import ATTACKS
from bearerwatch.simulate.columns import Events, joined
from bearerwatch.simulate.files import write
from bearerwatch.simulate.geography import written
from bearerwatch.simulate.simulation import Plan, Simulation
from bearerwatch.store.engine import COLUMNS

START = datetime(2026, 3, 2, tzinfo=UTC)
FEW = ("token_guessing", "forged_token", "object_enumeration", "leaked_token", "query_token_use", "revoked_token_use")
SMALL = Plan(seed=11, events=30_000)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day")
    write(Simulation(SMALL), folder, "parquet")
    return folder


@pytest.fixture
def con(day: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"CREATE VIEW e AS FROM read_parquet('{day}/events/*.parquet')")
        yield con


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


@pytest.mark.parametrize("form", ["parquet", "ndjson"])
def test_the_same_seed_makes_the_same_bytes_and_another_makes_others(tmp_path: Path, form: str) -> None:
    made = {}
    for name, seed in (("one", 5), ("same", 5), ("other", 6)):
        write(Simulation(Plan(seed=seed, events=1_500, attacks=1, only=FEW)), tmp_path / name, form)
        made[name] = _digest(tmp_path / name)
    assert made["one"] == made["same"]
    assert made["one"] != made["other"]


def test_events_are_those_of_the_schema_whichever_way_they_are_written() -> None:
    simulation = Simulation(Plan(seed=3, events=1_500, only=FEW))
    decode = msgspec.json.Decoder(AuthEvent).decode
    lines = [line for rows in simulation for chunk in simulation.writer.lines(rows) for line in chunk.splitlines()]
    events = [decode(line) for line in lines]
    assert [msgspec.json.encode(event) for event in events[:500]] == lines[:500]
    assert len({event.event_id for event in events}) == len(events)
    assert {event.reason for event in events if event.kind == "auth"} - {None} <= set(REASONS)
    assert all(event.event_id[14] == "7" and event.event_id[19] in "89ab" for event in events)


def test_both_forms_hold_the_same(tmp_path: Path) -> None:
    plan = Plan(seed=8, events=2_000, only=FEW)
    for form in ("parquet", "ndjson"):
        write(Simulation(plan), tmp_path / form, form)
    names = ", ".join(f'"{name}"' for name in COLUMNS if name not in ("received_at", "source"))
    typed = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
    with duckdb.connect(":memory:") as con:
        con.execute(f"CREATE VIEW p AS SELECT {names} FROM read_parquet('{tmp_path}/parquet/events/*.parquet')")
        con.execute(
            f"CREATE VIEW j AS SELECT {names} FROM (SELECT * REPLACE (coalesce(verified, false) AS verified, 1 AS count) "
            f"FROM read_json('{tmp_path}/ndjson/events/*.jsonl', columns = {{{typed}}}))"
        )
        ((rows,),) = con.execute("SELECT count(*) FROM p").fetchall()
        assert rows > 2_000
        assert con.execute("(FROM p EXCEPT FROM j) UNION ALL (FROM j EXCEPT FROM p)").fetchall() == []


def test_every_kind_of_attack_is_there_and_named(day: Path) -> None:
    truth = read_truth(day / "truth.json")
    assert {one.kind for one in truth.marked if one.attack} == set(ATTACKS)
    assert len({one.id for one in truth.marked}) == len(truth.marked)
    for one in truth.marked:
        assert START <= one.first <= one.last <= START + timedelta(days=1, hours=1), one.id


def test_an_attack_is_in_the_events_as_the_truth_has_it(day: Path, con: duckdb.DuckDBPyConnection) -> None:
    truth = read_truth(day / "truth.json")
    checked = 0
    for one in truth.marked:
        if "client_ip" not in one.key or one.kind not in ("token_guessing", "low_and_slow", "brute_force_network"):
            continue
        asked = [one.key["client_ip"], one.first.replace(tzinfo=None), one.last.replace(tzinfo=None)]
        query = "SELECT count(*), min(ts), max(ts) FROM e WHERE client_ip IN (SELECT unnest(?)) AND ts BETWEEN ? AND ?"
        assert con.execute(query, asked).fetchall() == [(one.events, *asked[1:])], one.id
        checked += 1
    assert checked == 15


def test_a_token_has_the_id_by_which_the_truth_knows_it(day: Path, con: duckdb.DuckDBPyConnection) -> None:
    truth = read_truth(day / "truth.json")
    (shared, *_) = [one for one in truth.marked if one.kind == "token_sharing"]
    query = "SELECT count(DISTINCT client_ip) FROM e WHERE token_id = ? AND client_ip IN (SELECT unnest(?))"
    found = con.execute(query, [shared.key["token_id"][0], shared.key["client_ip"]]).fetchall()
    assert found == [(len(shared.key["client_ip"]),)]


def test_nothing_is_heard_of_a_silent_service(day: Path, con: duckdb.DuckDBPyConnection) -> None:
    (silent,) = [one for one in read_truth(day / "truth.json").marked if one.kind == "silent_service"]
    asked = [silent.key["service"][0], silent.first.replace(tzinfo=None), silent.last.replace(tzinfo=None)]
    assert con.execute("SELECT count(*) FROM e WHERE service = ? AND ts >= ? AND ts < ?", asked).fetchall() == [(0,)]
    assert con.execute("SELECT count(*) > 100 FROM e WHERE service = ?", asked[:1]).fetchall() == [(True,)]


def test_an_ordinary_day_has_what_careless_rules_trip_over(con: duckdb.DuckDBPyConnection) -> None:
    def told(query: str) -> int:
        return con.execute(query).fetchall()[0][0]

    nat = "SELECT max(n) FROM (SELECT count(DISTINCT subject_id) AS n FROM e WHERE verified GROUP BY client_ip)"
    assert told(nat) >= 20
    roaming = "SELECT max(n) FROM (SELECT count(DISTINCT client_ip) AS n FROM e WHERE client_id = 'ios' AND verified GROUP BY subject_id)"
    assert told(roaming) >= 8
    assert told("SELECT count(*) FROM e WHERE outcome = 'expired' AND client_id IS NULL") > 1_000  # broken clients
    assert told("SELECT count(*) FROM e WHERE outcome = 'error' AND status = 503") > 0  # deploys
    assert told("SELECT count(*) FROM e WHERE outcome = 'anonymous'") > 2_000
    assert told("SELECT count(DISTINCT country) FROM e WHERE verified") >= 10


def test_nights_are_quieter_than_days_and_weekends_than_weeks() -> None:
    simulation = Simulation(Plan(seed=2, start=START, days=6, events=20_000, attacks=0))
    people = joined([rows[rows["client"] == 0] for rows in simulation])
    hours = Counter((people["ts"] // 3_600_000_000 % 24).tolist())
    assert min(hours.values()) * 1.5 < max(hours.values())  # the sun never sets on all of them
    days = Counter((people["ts"] // 86_400_000_000).tolist())
    assert days[min(days) + 5] < 0.7 * days[min(days) + 2]


def _late(plan: Plan) -> Events:
    return joined(list(Simulation(plan)))


def test_events_arrive_in_order_and_some_of_them_late() -> None:
    rows = _late(Plan(seed=4, events=20_000, attacks=0, late=0.05, lateness=timedelta(minutes=5)))
    lag = rows["arrive"] - rows["ts"]
    assert (np.diff(rows["arrive"]) >= 0).all()
    assert (lag >= 0).all()
    assert 0.02 < (lag > 2_000_000).mean() < 0.06
    assert 240_000_000 < lag.max() <= 300_000_000
    assert len(np.unique(rows["number"])) == len(rows)


def test_what_is_late_at_midnight_is_not_lost() -> None:
    plan = Plan(seed=4, events=20_000, attacks=0, late=1, lateness=timedelta(hours=3))
    assert len(_late(plan)) == len(_late(Plan(seed=4, events=20_000, attacks=0, late=0)))


def test_attacks_can_be_chosen_and_tuned() -> None:
    plan = Plan(
        seed=1,
        events=2_000,
        only=("token_guessing",),
        tuned={"token_guessing": {"each_day": 7, "events": (33, 33), "seconds": (60, 60)}},
    )
    simulation = Simulation(plan)
    for _ in simulation:
        pass
    attacks = [one for one in simulation.truth.marked if one.attack]
    assert {one.kind for one in attacks} == {"token_guessing"}
    assert len(attacks) == 7
    plain = [one for one in attacks if one.shape in ("even", "random", "slow_start", "border")]
    assert {one.events for one in plain} == {33}
    assert all(one.last - one.first <= timedelta(seconds=60) for one in plain)


def test_no_attack_is_none() -> None:
    simulation = Simulation(Plan(seed=1, events=2_000, attacks=0))
    for _ in simulation:
        pass
    assert [one for one in simulation.truth.marked if one.attack] == []


def test_an_address_is_written_the_same_by_sql_and_python(con: duckdb.DuckDBPyConnection) -> None:
    simulation = Simulation(SMALL)
    rows = next(iter(simulation))
    told = {written(int(number)) for number in rows["address"] if number >= 0}
    (first, *_) = sorted(
        path for path in [r[0] for r in con.execute("SELECT DISTINCT client_ip FROM e").fetchall()] if path
    )
    assert first.startswith(("2001:db8:", "24"))
    lines = [line for chunk in simulation.writer.lines(rows) for line in chunk.splitlines()]
    assert {msgspec.json.decode(line).get("client_ip") for line in lines} - {None} == told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "marks no episodes"),
        ('{"format": 2, "since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z", "marked": []}', "format 2"),
        (
            (
                '{"format": 1, "since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z", '
                '"marked": [{"id": "a", "first": "2026-01-01T00:00:00", "last": "2026-01-01T00:00:00Z"}]}'
            ),
            "without a zone",
        ),
    ],
)
def test_a_file_that_marks_nothing_is_told_with_the_mend(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        read_truth(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_truth(tmp_path / "none.json")


def test_truth_comes_back_as_it_was_written(day: Path) -> None:
    truth = read_truth(day / "truth.json")
    assert msgspec.json.decode(msgspec.json.encode(truth), type=Truth) == truth

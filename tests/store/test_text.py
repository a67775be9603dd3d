"""Many events are loaded as a file in memory: the same rows as one by one, whatever stands among them."""

from __future__ import annotations

import random
from contextlib import closing

import pytest

from bearerwatch.store.engine import connect
from bearerwatch.store.lake import INCOMING, Lake
from bearerwatch.store.state import State
from bearerwatch.store.text import Text
from store.kept import Kept
from store.made import line, lines, traffic

_ODD = (
    b"",
    b"  ",
    b"null",
    b"[]",
    b"17",
    b"{",
    b"{}",
    b'{"kind":"auth"}',
    line(1) + b" " + line(2),
    line(3) + b"\n" + line(4),
    line(5).replace(b'"auth"', b'"\xff"'),
    line(6).replace(b'"event_id":"0', b'"event_id":"g'),
    line(7, status=200).replace(b":200", b':"two hundred"'),
    line(8, status=200).replace(b":200", b':{"a":[1]}'),
    line(9, duration_us=1).replace(b'"duration_us":1', b'"duration_us":NaN'),
    line(10, path="a\x00b\nc\u2028\U0001f600"),
    line(11, detail="'" * 140_000),
    line(12).replace(b'"ts":"2026', b'"ts":"19999'),
    line(13)[:-1] + b',"service":"twice","more":{"a":' + b"[" * 900 + b"]" * 900 + b"}}",
)


def _rows(lake: Lake) -> list[tuple[object, ...]]:
    return list(lake.run(f"FROM {INCOMING} ORDER BY rowid"))


class _OneByOne(Lake):
    """Loads line by line, as few are."""

    def append(self, lines: object) -> int:
        assert isinstance(lines, list)
        refused: list[bytes] = []
        total = 0
        for one in lines:
            total += super().append([one])
            refused += self.refused
        self.refused = refused
        return total


def test_many_lines_make_the_rows_they_make_one_by_one(
    kept: Kept, sqlite: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = traffic(700)
    monkeypatch.setattr(kept.lake, "_load", pytest.fail)
    with closing(connect(kept.lake.folder.parent / "tmp")) as con:
        slow = _OneByOne(kept.lake.folder.parent / "other", sqlite, con)
        assert kept.lake.append(given) == slow.append(given) == 700
        assert _rows(kept.lake) == _rows(slow)


@pytest.mark.parametrize("number", range(len(_ODD)))
def test_one_odd_line_among_many_changes_nothing_for_them(kept: Kept, sqlite: State, number: int) -> None:
    given = lines(0, 600)
    given.insert(random.Random(number).randrange(600), _ODD[number])
    with closing(connect(kept.lake.folder.parent / "tmp")) as con:
        slow = _OneByOne(kept.lake.folder.parent / "other", sqlite, con)
        assert kept.lake.append(given) == slow.append([_ODD[number]]) + 600
        assert kept.lake.refused == slow.refused
    # and what comes after it is told apart from it
    assert kept.lake.append(lines(1_000, 600)) == 600
    assert len(kept.lake.run(f"FROM {INCOMING} WHERE rowid >= {kept.lake.batch_from}")) == 600
    assert kept.lake.pending_rows == len(_rows(kept.lake))


def test_a_text_is_read_anew_each_time_it_is_held(kept: Kept) -> None:
    for count in (900, 600, 2_000):
        before = kept.lake.pending_rows
        assert kept.lake.append(lines(before, count)) == count
    assert len({row[2] for row in _rows(kept.lake)}) == 3_500


def test_where_there_is_no_memory_file_lines_are_loaded_all_the_same(
    kept: Kept, sqlite: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> None:
        return None

    monkeypatch.setattr(Text, "made", none)
    with closing(connect(kept.lake.folder.parent / "tmp")) as con:
        lake = Lake(kept.lake.folder.parent / "other", sqlite, con)
        assert lake.append(lines(0, 700)) == 700


def test_a_file_in_memory_gives_back_what_is_much() -> None:
    text = Text.made()
    assert text is not None
    with text.holding([b"x" * (1 << 20)] * 40) as path, open(path, "rb") as held:  # noqa: PTH123
        assert len(held.read()) == 40 << 20
    with text.holding([b"sh", b"", b"ort"]) as path, open(path, "rb") as held:  # noqa: PTH123
        assert held.read() == b"short"

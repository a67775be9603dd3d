"""Whatever a stream's reads are like, its pieces are the stream, cut where lines end."""

from __future__ import annotations

import io
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.leaks.pieces import Piece, pieces

SIZE, MARGIN = 64, 8


def reading(data: bytes, steps: list[int]) -> Callable[[memoryview], int]:
    stream = io.BytesIO(data)
    left = list(steps)

    def fill(view: memoryview) -> int:
        step = left.pop(0) if left else len(view)
        return stream.readinto(view[:step])

    return fill


def cut(data: bytes, steps: list[int] | None = None) -> list[Piece]:
    return list(pieces(reading(data, steps or []), size=SIZE, margin=MARGIN))


TEXT = st.lists(
    st.one_of(
        st.binary(max_size=30), st.just(b"\n"), st.just(b"\r\n"), st.just(b"x" * 90), st.just("ä€😀".encode() * 20)
    ),
    max_size=12,
).map(b"".join)


@given(TEXT, st.lists(st.integers(1, 90), max_size=30))
def test_what_the_pieces_settle_is_the_stream(data: bytes, steps: list[int]) -> None:
    found = cut(data, steps)
    assert b"".join(piece.data[piece.fresh : piece.settled] for piece in found) == data
    for piece in found:
        assert data[piece.offset : piece.offset + len(piece.data)] == piece.data


@given(TEXT, st.lists(st.integers(1, 90), max_size=30))
def test_a_piece_is_whole_lines_or_a_window_of_one_line(data: bytes, steps: list[int]) -> None:
    for piece in cut(data, steps):
        starts = piece.offset == 0 or data[piece.offset - 1 : piece.offset] == b"\n"
        if piece.window:
            assert b"\n" not in piece.data[:-1]
        else:
            assert starts
            assert piece.complete or piece.offset + len(piece.data) == len(data)


@given(st.integers(80, 400))
def test_windows_of_a_long_line_see_what_surrounds_what_they_settle(length: int) -> None:
    data = (b"0123456789" * 40)[:length]
    found = cut(data)
    assert all(piece.window for piece in found)
    for piece in found[1:]:
        assert piece.fresh == MARGIN
    for piece in found[:-1]:
        assert len(piece.data) - piece.settled == MARGIN


def test_no_window_begins_or_is_settled_amid_a_character() -> None:
    data = "€".encode() * 100
    for piece in cut(data):
        piece.data[: piece.settled].decode()
        piece.data[piece.fresh : piece.settled].decode()


def test_a_line_that_has_come_is_not_held_back() -> None:
    """A pause in the input holds up nothing but a line that is not finished."""
    reads = iter([b"one\ntw", b"o\n"])
    seen: list[bytes] = []

    def fill(view: memoryview) -> int:
        data = next(reads, b"")
        view[: len(data)] = data
        asked.append(list(seen))
        return len(data)

    asked: list[list[bytes]] = []
    for piece in pieces(fill):
        seen.append(piece.data)
    assert seen == [b"one\n", b"two\n"]
    assert asked[1] == [b"one\n"]

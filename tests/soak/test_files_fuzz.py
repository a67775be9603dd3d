"""Streams and files: whatever bytes there are, no token stays, and of all else not one byte changes."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from bearerwatch.leaks import Gate, filter, sweep  # noqa: A004 - as it is called
from bearerwatch.leaks.sources import sources
from bearerwatch.redact import gate
from soak.mixes import ALIKE, Mixer, Secret, survivors
from soak.rounds import SECONDS, Round, pure, rounds

_ENDS = (b"\n", b"\n", b"\n", b"\r\n", b"\n\n", b"\r\r\n", b"\0\n")


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """One gate for all rounds, or rather two: making one takes some tenths of a second."""
    assert gate.PREFILTER.ready(), "the accel extra belongs to the test environment"
    fast = Gate()
    with pure():
        slow = Gate()
    for room in (filter, sweep):
        monkeypatch.setattr(room, "Gate", lambda *_: slow if os.environ.get("BEARERWATCH_ACCEL") else fast)


def lines(turn: Round) -> tuple[Mixer, list[bytes], list[Secret]]:
    """Lines of a log, and the secrets that stand whole in one of them."""
    mixer = Mixer(turn)
    rng = mixer.rng
    made: list[bytes] = []
    secrets: list[Secret] = []
    plain: list[Secret] = []
    for _ in range(rng.randrange(1, 12)):
        kind = rng.random()
        if kind < 0.4:
            mix = mixer.line()
            secrets += mix.secrets
            plain += mix.secrets if mix.text.isascii() else ()
            line = mix.text
        else:
            line = rng.choice(ALIKE) if kind < 0.7 else mixer.torn() if kind < 0.95 else mixer.nested()
        made.append(line.encode("utf-8", "surrogatepass") + rng.choice(_ENDS))
    if rng.random() < 0.1:
        made.insert(rng.randrange(len(made)), rng.randbytes(rng.choice((10, 300))) + b"\n")
    if rng.random() < 0.02:  # a line that is longer than what is looked at together
        mix = mixer.line()
        secrets += mix.secrets
        around = [rng.choice(ALIKE) + " " for _ in range(50)]
        lead, rest = ("".join(rng.choices(around, k=rng.randrange(9000))) for _ in range(2))
        made.append(f"{lead} {mix.text} {rest}\n".encode("utf-8", "surrogatepass"))
    binary = b"\0" in b"".join(made)  # read as Latin-1, in which no disguise beyond ASCII is one
    return mixer, made, plain if binary else secrets


def readable(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def filtered(data: bytes, most: Callable[[], int] = lambda: 1 << 20) -> bytes:
    """What comes out of a stream that comes in pieces of at most *most* bytes."""
    stream, out = io.BytesIO(data), io.BytesIO()
    filter.Filter(out.write)(lambda view: stream.readinto(view[: most()]))
    return out.getvalue()


def stream(turn: Round, folder: Path) -> None:
    mixer, made, secrets = lines(turn)
    data = b"".join(made)

    clean = filtered(data)

    assert survivors(secrets, readable(clean)) == []
    assert filtered(clean) == clean
    sizes = mixer.rng.choice(((1, 7, 100), (4096,), (65_536, 1)))
    assert filtered(data, lambda: mixer.rng.choice(sizes)) == clean
    with pure():
        assert filtered(data) == clean


def alike(turn: Round, folder: Path) -> None:
    mixer = Mixer(turn)
    data = "\n".join(mixer.around(ALIKE) for _ in range(200)).encode("utf-8", "surrogatepass")
    assert filtered(data, lambda: mixer.rng.choice((1000, 65_536))) == data


def swept(path: Path, *, in_place: bool) -> int:
    """Rewrite *path*, and return how many tokens were found."""
    problems: list[tuple[str, str]] = []
    one = sweep.Sweep(redact=True, in_place=in_place, binary=True, problem=lambda *told: problems.append(told))
    found = [leak for source in sources([str(path)], lambda *told: problems.append(told)) for leak in one(source)]
    assert problems == []
    return len(found)


def file(turn: Round, folder: Path, *, in_place: bool) -> None:
    mixer, made, secrets = lines(turn)
    packed = not in_place and mixer.rng.random() < 0.1
    data = b"first line\n" + b"".join(made)
    path, other = folder / "app.log", folder / "pure.log"
    for one in (path, other):
        one.write_bytes(gzip.compress(data, 1) if packed else data)
    before = path.stat()

    found = swept(path, in_place=in_place)

    def held(one: Path) -> bytes:
        return gzip.decompress(one.read_bytes()) if packed else one.read_bytes()

    clean = held(path)
    assert survivors(secrets, readable(clean)) == []
    if in_place:
        assert (path.stat().st_ino, len(clean)) == (before.st_ino, len(data))
    if not found:
        assert path.stat().st_mtime_ns == before.st_mtime_ns
        assert clean == data
    assert swept(path, in_place=in_place) == 0
    assert held(path) == clean
    with pure():
        assert swept(other, in_place=in_place) == found
    assert held(other) == clean
    assert sorted(one.name for one in folder.iterdir()) == ["app.log", "pure.log"]


def redact(turn: Round, folder: Path) -> None:
    file(turn, folder, in_place=False)


def in_place(turn: Round, folder: Path) -> None:
    file(turn, folder, in_place=True)


@pytest.mark.parametrize(("check", "few"), [(stream, 60), (alike, 40), (redact, 30), (in_place, 30)])
def test_a_few(check: Callable[..., None], few: int, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    rounds(partial(check, folder=tmp_path / "logs"), few=few)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("checks", [(stream, alike), (redact,), (in_place,)], ids=["stream", "redact", "in-place"])
def test_for_long(checks: Sequence[Callable[..., None]], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    rounds(*(partial(check, folder=tmp_path / "logs") for check in checks))

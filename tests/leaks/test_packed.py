"""Compressed files, whole and cut off."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

import fakes

PACK: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gz": (gzip.compress, gzip.decompress),
    "zst": (lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}), zstd.decompress),
    "bz2": (bz2.compress, bz2.decompress),
    "xz": (lzma.compress, lzma.decompress),
}


def inside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def noise(lines: int) -> bytes:
    rng = random.Random(1)
    return b"".join(b"%d %s\n" % (number, rng.randbytes(30).hex().encode()[:20]) for number in range(lines))


@pytest.mark.parametrize("form", PACK)
@pytest.mark.parametrize("option", ["redact", None])
def test_is_read_and_rewritten_as_it_is_compressed(form: str, option: str | None, tmp_path: Path, sweep: Any) -> None:
    pack, unpack = PACK[form]
    token = fakes.jwt()
    before = noise(50_000) + f"Bearer {token}\r\n".encode() + b"\xff end, no newline"
    path = tmp_path / "app.log.any-name"
    path.write_bytes(pack(before))
    os.utime(path, ns=(10**18, 10**18 + 1))
    swept = sweep(path, redact=option is not None)
    assert [(leak.line, leak.column) for _, leak in swept.leaks] == [(50_001, 8)]
    assert swept.problems == []
    after = unpack(path.read_bytes())
    if option is None:
        assert after == before
    else:
        assert after == before.replace(token.encode(), f"[token {swept.leaks[0][1].fingerprint}]".encode())
        assert path.stat().st_mtime_ns == 10**18 + 1
        assert sweep(path).leaks == []
    assert inside(tmp_path) == ["app.log.any-name"]


@pytest.mark.parametrize("form", PACK)
@pytest.mark.parametrize("option", ["redact", None])
def test_one_that_is_cut_off_is_looked_at_as_far_as_it_goes_and_left_alone(
    form: str, option: str | None, tmp_path: Path, sweep: Any
) -> None:
    token = fakes.jwt()
    data = PACK[form][0](f"Bearer {token}\n".encode() + noise(50_000))
    path = tmp_path / "app.log"
    path.write_bytes(data[: len(data) - len(data) // 10])
    before = path.read_bytes()
    swept = sweep(path, redact=option is not None)
    assert [leak.line for _, leak in swept.leaks] == [1]
    ((name, text),) = swept.problems
    assert name == str(path)
    assert "ends early" in text
    assert path.read_bytes() == before
    assert inside(tmp_path) == ["app.log"]


def test_all_that_can_be_unpacked_of_one_that_is_cut_off_is_looked_at(tmp_path: Path, sweep: Any) -> None:
    line = f" Bearer {fakes.jwt()}\n".encode()
    data = gzip.compress(noise(40_000).replace(b"0\n", b"0" + line))
    path = tmp_path / "app.log.gz"
    path.write_bytes(data[: len(data) // 2])
    there = zlib.decompressobj(31).decompress(path.read_bytes()).count(line)
    assert there > 1000
    assert 0 <= there - len(sweep(path).leaks) <= 1 + there // 1000


@pytest.mark.parametrize("form", PACK)
def test_damage_is_said_and_the_rest_is_looked_at(form: str, tmp_path: Path, sweep: Any) -> None:
    data = bytearray(PACK[form][0](noise(1000)))
    for at in range(len(data) // 2, len(data) // 2 + 20):
        data[at] ^= 0xFF
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "b").write_bytes(f"Bearer {fakes.opaque()}\n".encode())
    swept = sweep(tmp_path)
    assert [Path(name).name for name, _ in swept.leaks] == ["b"]
    ((name, text),) = swept.problems
    assert Path(name).name == "a"
    assert "is damaged" in text or "ends early" in text


def test_what_only_begins_like_one_is_said(tmp_path: Path, sweep: Any) -> None:
    (tmp_path / "a").write_bytes(b"\x1f\x8b")
    (tmp_path / "b").write_bytes(b"\x28\xb5\x2f\xfd no zstd at all")
    swept = sweep(tmp_path)
    assert len(swept.problems) == 2


def test_several_members_one_after_the_other(tmp_path: Path, sweep: Any) -> None:
    """As logrotate and `cat a.gz b.gz` make them."""
    path = tmp_path / "all.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(f"Bearer {fakes.opaque()}\n".encode()))
    assert [leak.line for _, leak in sweep(path).leaks] == [2]


def test_in_place_is_refused_and_says_what_to_do(tmp_path: Path, sweep: Any) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(f"Bearer {fakes.opaque()}\n".encode()))
    before = path.read_bytes()
    swept = sweep(path, in_place=True)
    assert len(swept.leaks) == 1
    assert "leave --in-place out" in swept.problems[0][1]
    assert path.read_bytes() == before

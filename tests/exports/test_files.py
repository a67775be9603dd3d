"""Files: whole or not there, compressed by their name, private."""

from __future__ import annotations

import gzip
import os
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.event import AuthEvent
from bearerwatch.exports import ExportError
from bearerwatch.exports.files import FileTarget
from bearerwatch.formats.ndjson import encode
from bearerwatch.leaks.packed import zstd
from bearerwatch.testing.events import make_event

EVENTS = [make_event(path=f"/{number}\n") for number in range(2500)]


def unpacked(path: Path) -> bytes:
    raw = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(raw)
    module: Any = zstd()
    return module.decompress(raw) if path.suffix == ".zst" else raw


@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.gz", "events.ndjson.zst"])
def test_a_file_holds_a_line_an_event(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with closing(FileTarget(path, encode, replace=True)) as target:
        target.send(EVENTS[:1000])
        target.send(EVENTS[1000:])
        assert not path.exists()
        target.finish()
    lines = unpacked(path).splitlines()
    assert [msgspec.json.decode(line, type=AuthEvent) for line in lines] == EVENTS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_finished_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson.zst"
    path.write_bytes(b"former")
    with closing(FileTarget(path, encode, replace=True)) as target:
        target.send(EVENTS)
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_an_earlier_exports_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"former")
    with pytest.raises(ConfigurationError, match="name a new file each time"):
        FileTarget(path, encode, replace=False)
    path.unlink()
    with closing(FileTarget(path, encode, replace=False)) as target:
        path.write_bytes(b"another's")
        with pytest.raises(ExportError, match="by somebody else"):
            target.finish()
    assert path.read_bytes() == b"another's"


@pytest.mark.parametrize(("name", "says"), [("", "is a folder"), ("none/events", "there is no folder")])
def test_a_place_that_will_not_do_is_named(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=says):
        FileTarget(tmp_path / name, encode, replace=True)


def test_a_device_or_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with pytest.raises(ConfigurationError, match="is no plain file"):
            FileTarget(tmp_path / name, encode, replace=True)
    assert (tmp_path / "pipe").is_fifo()


def test_what_a_link_leads_to_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "events")
    with closing(FileTarget(tmp_path / "link", encode, replace=True)) as target:
        target.send(EVENTS[:1])
        target.finish()
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "events").read_bytes() == encode(EVENTS[0]) + b"\n"


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    target = FileTarget(tmp_path / "events", encode, replace=True)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, target._raw.fileno())
    os.close(full)
    with closing(target):
        target.send(EVENTS[:10])
        with pytest.raises(ExportError, match="No space left"):
            target.finish()
    assert list(tmp_path.iterdir()) == []

"""``rules watch``: what was saved is looked at within a moment, and Ctrl-C ends it cleanly. A real process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bearerwatch.cli._rules_watch import _rules_of
from bearerwatch.detect.rulebook import package_rules
from detect.world import event

Run = Callable[..., Any]
RULE = (package_rules() / "token_sharing.yml").read_text(encoding="utf-8")
TESTS = (package_rules() / "token_sharing.test.yml").read_text(encoding="utf-8")
TIMEOUT = 30


class Watching:
    """A running ``rules watch`` and what it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def until(self, text: str) -> str:
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            if text in (whole := "".join(self.lines)):
                self.lines.clear()
                return whole
            assert self.process.poll() is None, "".join(self.lines)
            time.sleep(0.02)
        raise AssertionError(f"no {text!r} in {''.join(self.lines)!r}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        return code


@contextmanager
def watching(*argv: object) -> Iterator[Watching]:
    command = [sys.executable, "-m", "bearerwatch.cli", "rules", "watch", *map(str, argv)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield Watching(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(TIMEOUT)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    return tmp_path / "rules"


def test_what_is_saved_is_looked_at_tried_and_left_with_ctrl_c(folder: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    shared = [
        event(
            i,
            "success",
            token_id="k00000000:" + "1" * 32,
            presented_id="k00000000:" + "1" * 32,
            client_ip=f"192.0.2.{i}",
        )
        for i in range(12)
    ]
    events.write_bytes(b"\n".join(map(msgspec.json.encode, shared)))
    with watching(folder, "--events", events) as watch:
        watch.until("stop with Ctrl-C")
        (folder / "mine.yml").write_text(RULE, encoding="utf-8")
        assert "mine.test.yml beside it" in watch.until("finds 1 alert of 1 key")
        (folder / "mine.test.yml").write_text(TESTS, encoding="utf-8")
        assert "✓ mine" in watch.until("finds 1 alert")
        (folder / "mine.yml").write_text(RULE.replace("group-by:", "groupby:"), encoding="utf-8")
        assert "mine.yml:" in watch.until("did you mean group-by")
        assert watch.stop() == 0
    assert "stopped" in "".join(watch.lines)


def test_of_what_changed_the_rules_are_looked_at(folder: Path) -> None:
    for name in ("mine.yml", "mine.test.yml", "other.yml", ".draft.yml", "notes.txt"):
        (folder / name).touch()
    mine, other = folder / "mine.yml", folder / "other.yml"
    assert _rules_of({folder / "mine.test.yml", other, folder / ".draft.yml", folder / "notes.txt"}, folder) == [
        mine,
        other,
    ]
    assert _rules_of({mine, other}, mine) == [mine]
    assert _rules_of({folder / "gone.yml"}, folder) == []


def test_wrong_use_is_told(run: Run, folder: Path, tmp_path: Path) -> None:
    assert run("rules", "watch", tmp_path / "none").code == 2
    assert run("rules", "watch", folder, "--events", "x.jsonl", "--since", "1h").code == 2
    (tmp_path / "x.jsonl").write_text("no events", encoding="utf-8")
    broken = run("rules", "watch", folder, "--events", tmp_path / "x.jsonl")
    assert (broken.code, "x.jsonl" in broken.err) == (2, True)

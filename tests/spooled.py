"""What lies in a spool, as a collector would find it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from bearerwatch.event import AuthEvent

__all__ = ["decode", "events_in", "lockable", "run", "segments"]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def events_in(folder: Path) -> list[AuthEvent]:
    lines = [line for path in segments(folder) for line in path.read_bytes().splitlines()]
    return [msgspec.json.decode(line, type=AuthEvent) for line in lines]


def lockable(path: Path) -> bool:
    """Whether a collector may take the segment."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def run(code: str, *args: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run *code* in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **options)


def decode(line: bytes) -> AuthEvent:
    return msgspec.json.decode(line, type=AuthEvent)

"""A process that answers each line it is asked with a line of JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["answering", "ask"]


@contextmanager
def answering(name: str, command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The process of *command* once it has said ``ready``; it ends when its standard input does."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{name} does not start; see its traceback above")
        yield process
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ask(process: subprocess.Popen[str], line: str) -> Any:
    """What *process* answers to *line*."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError("a worker died in a round; see its traceback above")
    return json.loads(answer)

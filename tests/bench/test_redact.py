"""What redaction is measured with: a log and records of known kinds, and checks that end a run worth nothing."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench._redact_made import Maker, leaked

from bearerwatch.redact import redact_text
from bench import _redact_files, _redact_log, _redact_logging, _redact_records, _redact_worker, _timed

_ROOT = Path(__file__).parents[2]
_TRIGGER = re.compile(r"(?i)token|bearer|passw|authori|secret|\bkeys?\b")


@pytest.fixture
def log(tmp_path):
    return _redact_log.generate(tmp_path / "shop.log", 1_500_000)


def test_the_log_is_the_same_for_the_same_seed(tmp_path):
    made = [_redact_log.generate(tmp_path / name, 300_000, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    texts = [(tmp_path / name).read_bytes() for name in "abc"]
    assert made[0] == made[1]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    assert made[0].bytes == len(texts[0])
    assert made[0].lines == texts[0].count(b"\n")


def test_a_third_of_the_log_speaks_of_secrets_and_few_lines_hold_one(tmp_path, log):
    lines = (tmp_path / "shop.log").read_text(encoding="utf-8").splitlines()
    speaking = sum(_TRIGGER.search(line) is not None for line in lines) / len(lines)
    assert 0.32 < speaking < 0.36
    assert 0.0003 < len(log.leaks) / len(lines) < 0.003
    assert 180 < log.bytes / log.lines < 230
    assert all(secret in lines[number - 1] for number, secret in log.leaks.items())


def test_the_lines_of_the_log_that_leak_are_those_that_redaction_changes(tmp_path, log):
    lines = (tmp_path / "shop.log").read_text(encoding="utf-8").splitlines()
    changed = {number for number, line in enumerate(lines, 1) if redact_text(line) != line}
    assert changed == log.leaks.keys()


@pytest.mark.parametrize("kind", _redact_records.KINDS)
def test_records_leak_what_they_say_and_nothing_else(kind):
    for message, args, secret in _redact_records.records(kind, 60, 3):
        line = logging.makeLogRecord({"msg": message, "args": args}).getMessage()
        assert (secret != "") == (kind == _redact_records.LEAK)
        assert (redact_text(line) != line) == (kind == _redact_records.LEAK)
        if secret:
            assert leaked(secret, line)
            assert not leaked(secret, redact_text(line))


def test_every_message_is_in_a_chunk_as_often_as_the_others():
    for kind in _redact_records.KINDS:
        messages = [record.message for record in _redact_records.records(kind, _redact_logging._SIZE, 1)]
        assert _redact_logging._SIZE % len(_redact_records._MAKES[kind]) == 0
        assert len(messages) == _redact_logging._SIZE


def test_a_piece_of_a_secret_is_a_leak_and_the_header_of_a_jwt_is_none():
    token = Maker(1).jwt()
    assert leaked(token, f"... {token[80:92]} ...")
    assert not leaked(token, f"... {token[80:91]} ...")
    assert not leaked(token, token.partition(".")[0])


def _answers(variant: str, folder: Path, asked: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "bench._redact_worker", variant],
        input=asked,
        capture_output=True,
        text=True,
        check=True,
        cwd=_ROOT,
        env=_redact_logging._environment(str(folder)),
    )
    ready, *answers = done.stdout.splitlines()
    assert ready == "ready"
    return [json.loads(answer) for answer in answers]


@pytest.mark.parametrize(
    ("variant", "letting_through"), [(_redact_worker.BARE, 12), (_redact_worker.OURS, 0), (_redact_worker.PURE, 0)]
)
def test_a_worker_times_both_sides_and_tells_what_was_let_through(tmp_path, variant, letting_through):
    if variant == _redact_worker.OURS:
        pytest.importorskip("hyperscan")
    times, leak, tricky = _answers(variant, tmp_path, "time 2 12 leak 1\ncheck 12 leak 0\ncheck 12 tricky 0\n")
    assert {side: len(taken) for side, taken in times.items()} == {"bare": 2, "watched": 2}
    assert leak == {"leaked": letting_through, "changed": 12 - letting_through}
    assert tricky == {"leaked": 0, "changed": 0}


def test_figures_of_what_lets_tokens_through_or_changes_other_lines_are_refused():
    _redact_logging._sound("leak", "bearerwatch", {"leaked": 0, "changed": 120})
    with pytest.raises(RuntimeError, match="1 of 120 records leaked"):
        _redact_logging._sound("leak", "bearerwatch", {"leaked": 1, "changed": 120})
    with pytest.raises(RuntimeError, match="2 of 120 records were changed"):
        _redact_logging._sound("tricky", "bearerwatch", {"leaked": 0, "changed": 2})


@pytest.fixture
def files(tmp_path):
    return _redact_files._Bench(tmp_path, "rg", 500_000)


def test_both_commands_find_and_rewrite_the_lines_that_leak(files):
    assert files._log.leaks
    assert files._scan("bearerwatch").memory > 20
    assert files._rewrite("bearerwatch").cpu > 0


def test_a_line_found_too_many_or_too_few_ends_the_run(files):
    (one, *_) = files._log.leaks
    secret = files._log.leaks.pop(one)
    with pytest.raises(RuntimeError, match="0 lines that leak were not found, and 1 were"):
        files._scan("bearerwatch")
    with pytest.raises(RuntimeError, match=f"line {one}, which holds no secret"):
        files._rewrite("bearerwatch")
    files._log.leaks[one] = secret
    clean = next(number for number in range(1, 100) if number not in files._log.leaks)
    files._log.leaks[clean] = "secret of a line that has none"
    with pytest.raises(RuntimeError, match="1 lines that leak were not found, and 0 were"):
        files._scan("bearerwatch")


def test_a_secret_left_behind_ends_the_run(files):
    files._copy.write_bytes(files._file.read_bytes())
    with pytest.raises(RuntimeError, match="still holds its secret"):
        files._compare()
    files._copy.write_bytes(b"".join(files._file.read_bytes().splitlines(keepends=True)[:3]))
    with pytest.raises(RuntimeError, match="line 4, which"):
        files._compare()


def test_ripgrep_is_given_what_it_takes():
    for pattern in _redact_files.patterns():
        assert not re.search(r"\(\?(?:[=!>]|<[=!])", pattern)
        assert "\\Z" not in pattern
        assert "\\n" not in re.sub(r"\\\\|\[\^?\]?[^\]]*\]", "", pattern)
        assert "\n" not in pattern


def test_ripgrep_takes_the_patterns_and_finds_the_lines(tmp_path, log):
    try:
        rg = _redact_files.ripgrep()
    except RuntimeError:
        pytest.skip("ripgrep is not installed; 'make bench' installs it")
    found = _redact_files._Bench(tmp_path, rg, 1_500_000)._counted()
    assert f"{_redact_files._FEW} finds {len(log.leaks)} lines" in found
    every = int(re.search(rf"{_redact_files._SAME} finds ([\d,]+) lines", found)[1].replace(",", ""))
    assert every >= len(log.leaks)


def test_without_ripgrep_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="apt install ripgrep"):
        _redact_files.ripgrep()


def test_what_a_command_took_is_its_own(tmp_path):
    """Its memory, not that of the process that measures; its exit code and its output."""
    script = "import sys; kept = b'x' * 120_000_000; print('said'); sys.exit(3)"
    command = [sys.executable, _timed.__file__, "0", str(tmp_path / "out"), sys.executable, "-c"]
    much, little = (
        json.loads(subprocess.run([*command, text], capture_output=True, check=True).stdout)
        for text in (script, "print('said')")
    )
    assert (much["code"], little["code"]) == (3, 0)
    assert much["memory"] > 120 > 60 > little["memory"]
    assert 0 < little["cpu"] < little["wall"] + 0.1
    assert (tmp_path / "out").read_text() == "said\n"

"""``bearerwatch leaks``, as somebody runs it."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import fakes
from bearerwatch.fingerprint import fingerprint

Run = Callable[..., Any]
ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "bearerwatch.cli", "leaks"]
ENV = os.environ | {"BEARERWATCH_KEYS": "k" * 32}


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    return folder


def test_finds_says_where_and_never_what(run: Run, logs: Path) -> None:
    old, fresh, secret = fakes.jwt({"exp": 1}), fakes.jwt({"exp": 4_000_000_000}), fakes.opaque(20) + "7"
    (logs / "a.log").write_text(f"fine\nBearer {old}\npassword={secret}\n")
    (logs / "b.log.gz").write_bytes(gzip.compress(f"x Bearer {fresh}\n".encode()))
    (logs / "clean.log").write_text("nothing here\n")
    ran = run("leaks", "logs")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert lines[0].startswith("logs/a.log:2:8: ")
    assert lines[0].endswith(f" {fingerprint(old)} expired 1970-01-01T00:00:01Z")
    assert lines[1] == "logs/a.log:3:10: [password]"
    assert lines[2].endswith(f" {fingerprint(fresh)} valid until 2096-10-02T07:06:40Z")
    assert len(lines) == 3
    assert "3 tokens in 3 files" in ran.err
    for token in (old, fresh, secret):
        assert fakes.leaked(token, ran.out, ran.err) == []


def test_nothing_found(run: Run, logs: Path) -> None:
    (logs / "a.log").write_text("nothing here\n")
    ran = run("leaks", "logs")
    assert (ran.code, ran.out, ran.err) == (0, "", "no token in 1 file\n")
    assert run("leaks", "--quiet", "logs")[:] == (0, "", "")


def test_one_file_that_cannot_be_read_does_not_hide_the_others(run: Run, logs: Path) -> None:
    (logs / "a.gz").write_bytes(gzip.compress(b"x" * 1000)[:-10])
    (logs / "b.log").write_text(f"Bearer {fakes.opaque()}\n")
    ran = run("leaks", "logs", "none.log", "*.none", "--quiet")
    assert ran.code == 2
    assert ran.out.startswith("logs/b.log:1:8: ")
    assert [line.split(": ")[1] for line in ran.err.splitlines()] == ["logs/a.gz", "none.log", "*.none"]


@pytest.mark.parametrize("argv", [[], ["--json", "--sarif", "x"], ["--binary", "x"], ["--nonsense", "x"]])
def test_wrong_usage(run: Run, logs: Path, argv: list[str]) -> None:
    ran = run("leaks", *argv)
    assert ran.code == 2
    assert ran.err


def test_standard_input_plain_and_packed(run: Run) -> None:
    text = f"one\nBearer {fakes.opaque()}\n".encode()
    for stdin in (text, gzip.compress(text)):
        ran = run("leaks", "-", stdin=stdin)
        assert ran.code == 1
        assert ran.out.startswith("-:2:8: ")
    ran = run("leaks", "--redact", "-", stdin=text)
    assert ran.code == 2
    assert "bearerwatch redact" in ran.err


def test_json_and_sarif_alone_are_on_standard_output(run: Run, logs: Path) -> None:
    token = fakes.opaque()
    (logs / "a.log").write_text(f"Bearer {token}\n" * 2)
    rows = run("leaks", "--json", "logs").rows
    assert [(row["path"], row["line"], row["column"], row["fingerprint"]) for row in rows] == [
        ("logs/a.log", line, 8, fingerprint(token)) for line in (1, 2)
    ]
    results = run("leaks", "--sarif", "logs").json["runs"][0]["results"]
    assert len(results) == 2


@pytest.mark.parametrize("option", ["--redact", "--in-place"])
def test_rewrites(run: Run, logs: Path, option: str) -> None:
    token = fakes.jwt()
    path = logs / "a.log"
    path.write_text(f"Bearer {token}\n")
    ran = run("leaks", option, "logs")
    assert ran.code == 1
    assert fakes.leaked(token, path.read_bytes(), ran.out, ran.err) == []
    assert fingerprint(token) in path.read_text()
    assert run("leaks", option, "logs").code == 0


def test_asking_for_what_holds_no_token_makes_no_key(run: Run, logs: Path, tmp_path: Path) -> None:
    (logs / "a.log").write_text("token of appreciation\n")
    subprocess.run([*COMMAND, "logs"], env=os.environ | {"BEARERWATCH_STATE": str(tmp_path / "state")}, check=True)
    assert not (tmp_path / "state").exists()


def test_a_reader_that_goes_away_ends_it_quietly(logs: Path) -> None:
    (logs / "a.log").write_text(f"Bearer {fakes.opaque()}\n" * 20_000)
    process = subprocess.Popen([*COMMAND, "logs"], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


def test_a_bar_on_a_terminal_and_none_elsewhere(logs: Path) -> None:
    (logs / "a.log").write_text(f"clean {fakes.opaque(8)}\n" * 100_000 + f"Bearer {fakes.opaque()}\n")
    ours, theirs = pty.openpty()
    env = ENV | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([*COMMAND, "logs"], env=env, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                data = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            seen += data
            if not data:
                break
        assert process.stdout is not None
        out = process.stdout.read()
    os.close(ours)
    assert b"MB" in seen
    assert b"\x1b[" in seen
    assert out.startswith(b"logs/a.log:100001:8: ")
    assert out.count(b"\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_file_nor_with_a_line(logs: Path) -> None:
    token = fakes.opaque()
    with (logs / "lines.log").open("w") as file:
        for _ in range(30):
            file.write("2026-01-01 GET /orders/7 200 12ms\\n" * 30_000 + f"Bearer {token}\n")
            file.write("\n" * 30_000)
    code = """
        import re, sys
        from bearerwatch.cli import main
        main(["leaks", "--quiet", *sys.argv[1:]])
        print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
    """
    assert (logs / "lines.log").stat().st_size > 30_000_000
    for option in ([], ["--redact"]):
        ran = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *option, "logs"], env=ENV, capture_output=True, check=True
        )
        assert ran.stdout.count(b"\n") == 30
        assert int(ran.stderr) <= 100 << 10


def test_it_loads_nothing_of_the_collector(logs: Path) -> None:
    (logs / "a.log").write_text(f"Bearer {fakes.opaque()}\n")
    code = """
        import sys
        from bearerwatch.cli import main
        main(["leaks", "logs"])
        print([n for n in ("duckdb", "sqlalchemy", "sigma", "apprise", "httpx2", "uvicorn") if n in sys.modules])
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=ENV, capture_output=True, check=True)
    assert ran.stdout.splitlines()[-1] == b"[]"


def test_the_hook_for_pre_commit_runs_it_on_files(logs: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert hook["id"] == "bearerwatch-leaks"
    assert {"id", "name", "entry", "language"} <= set(hook)
    program, *rest = hook["entry"].split()
    assert program == "bearerwatch"
    (logs / "a b.py").write_text(f'TOKEN = "{fakes.jwt()}"\n')
    (logs / "clean.py").write_text("TOKEN = None\n")
    command = [sys.executable, "-m", "bearerwatch.cli", *rest, *hook.get("args", [])]
    found = subprocess.run(
        [*command, "logs/a b.py", "logs/clean.py"], env=ENV, capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert found.stdout.startswith("logs/a b.py:1:")
    assert subprocess.run([*command, "logs/clean.py"], env=ENV, check=False).returncode == 0
    wanted = {line.partition(">")[0] for line in hook["additional_dependencies"]}
    assert {"rich", "typer"} <= wanted
    assert json.dumps(hook)

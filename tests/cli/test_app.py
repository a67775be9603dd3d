from __future__ import annotations

import os
import resource
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

import fakes
from bearerwatch import _units
from bearerwatch.cli import _app
from bearerwatch.errors import BearerwatchError, ConfigurationError, RuleError

COMMANDS = [
    "alerts", "demo", "doctor", "events", "fingerprint", "ingest", "key", "leaks", "redact", "revoke", "rules", "serve",
    "simulate", "timeline", "version",
]  # fmt: skip


def python(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, *args], env=env, capture_output=True, text=True, timeout=20, check=False, **options
    )


def test_commands_are_the_files_of_the_package() -> None:
    assert _units.names("bearerwatch.cli") == COMMANDS


def test_help_lists_every_command_in_one_screen(run: Callable[..., Any]) -> None:
    ran = run("--help")
    assert ran.code == 0
    assert all(f"\n  {name} " in ran.out for name in COMMANDS)
    assert max(map(len, ran.out.splitlines())) <= 80


@pytest.mark.parametrize(
    "command",
    [[], *([name] for name in COMMANDS), ["alerts", "show"], ["key", "new"], ["key", "ingest"], ["key", "webhook"],
     ["rules", "list"], ["rules", "test"]],
)  # fmt: skip
def test_every_help_has_an_example(run: Callable[..., Any], command: list[str]) -> None:
    ran = run(*command, "--help")
    assert ran.code == 0
    assert "Example: bearerwatch " in ran.out
    assert ran.err == ""


def test_help_is_quick_and_loads_neither_store_nor_detection() -> None:
    code = """
        import sys
        from bearerwatch.cli import main
        main(["--help"])
        print([n for n in ("duckdb", "sqlalchemy", "sigma", "apprise", "httpx2", "uvicorn", "rich.console") if n in sys.modules])
    """
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = python("-c", textwrap.dedent(code))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert ran.stdout.splitlines()[-1] == "[]"
    # Of the processor, so that a busy machine does not matter; alone it takes about half of that.
    assert min(spent) < 0.3


def test_one_command_loads_no_other() -> None:
    code = """
        import sys
        from bearerwatch.cli import main
        main(["version"])
        print(sorted(n for n in sys.modules if n.startswith("bearerwatch.cli.") and "._" not in n))
    """
    assert python("-c", textwrap.dedent(code)).stdout.splitlines()[-1] == "['bearerwatch.cli.version']"


def test_without_typer_one_line_says_what_to_install(tmp_path: Path) -> None:
    code = """
        import sys
        sys.modules["typer"] = None
        from bearerwatch.cli import main
        sys.exit(main(["version"]))
    """
    ran = python("-c", textwrap.dedent(code))
    assert ran.returncode == 2
    assert ran.stderr == (
        "bearerwatch: the command line needs typer, which is not installed: pip install 'bearerwatch[server]'\n"
    )


def test_it_runs_as_a_module() -> None:
    ran = python("-m", "bearerwatch.cli", "--version")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("bearerwatch ")


@pytest.mark.parametrize("group", ["key", "rules"])
def test_a_group_alone_shows_its_help_as_it_is(run: Callable[..., Any], group: str) -> None:
    asked, alone = run(group, "--help"), run(group)
    assert (asked.code, alone.code, alone.out) == (0, 2, "")
    assert alone.err.strip() == asked.out.strip()


def test_no_arguments_show_the_help(run: Callable[..., Any]) -> None:
    ran = run()
    assert ran.code == 2
    assert "Usage: bearerwatch" in ran.out + ran.err


@pytest.mark.parametrize(
    "argv",
    [["{}"], ["events", "{}"], ["events", "--{}"], ["events", "--token={}", "--nonsense"], ["key", "ingest", "a", "{}"],
     ["timeline", "--limit", "{}"], ["timeline", "--limit={}"], ["alerts", "show", "{}"], ["alerts", "{}"],
     ["timeline", "--token", "{}"], ["timeline", "--token={}"], ["events", "--token", "{}"], ["timeline", "{}"],
     ["events", "--since", "{}"], ["events", "--outcome", "{}"], ["key", "{}"]],
)  # fmt: skip
@pytest.mark.parametrize("make", [fakes.opaque, fakes.jwt])
def test_a_token_typed_anywhere_is_never_repeated(run: Callable[..., Any], argv: list[str], make: Any) -> None:
    token = make()
    ran = run(*(part.replace("{}", token) for part in argv))
    assert ran.code == 2
    assert ran.err
    assert fakes.leaked(token, ran.out, ran.err) == []


def test_a_misspelt_command_is_answered_with_the_right_one(run: Callable[..., Any]) -> None:
    ran = run("evnts")
    assert ran.code == 2
    assert "did you mean 'events'?" in ran.err


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (ConfigurationError("set X to Y"), 2, "bearerwatch: set X to Y\n"),
        (RuleError("rules/x.yml:3: no"), 2, "bearerwatch: rules/x.yml:3: no\n"),
        (BearerwatchError("gone\x1b[2J"), 1, "bearerwatch: gone\\x1b[2J\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Abort(), 130, "bearerwatch: interrupted\n"),
        (typer.Exit(1), 1, ""),
        (PermissionError(13, "Permission denied", "/x"), 1, "bearerwatch: cannot use /x: Permission denied\n"),
        (ModuleNotFoundError("No module named 'duckdb'", name="duckdb"), 2, "needs duckdb: pip install 'bearerwatch[server]'"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_an_exit_code(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, says: str
) -> None:
    fail_with(monkeypatch, error)
    ran = run("fail")
    assert ran.code == code
    assert ran.err.endswith(says) or says in ran.err
    assert "Traceback" not in ran.err


def test_a_damaged_store_and_a_forbidden_file_are_no_bugs(run: Callable[..., Any], story: Any) -> None:
    (story.folder / "state.db").write_bytes(b"no database at all, only some text that is long enough" * 10)
    for command in (["alerts"], ["events"], ["timeline", "--ip", "192.0.2.1"]):
        ran = run(*command)
        assert (ran.code, "Traceback" in ran.err) == (1, False)
        assert "'bearerwatch doctor' says what to do" in ran.err


def test_a_database_without_tables_is_said_to_be_one(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "state.db").touch(0o600)
    for command in ("alerts", "events"):
        ran = run(command, "--state", str(tmp_path))
        assert ran.code == 2
        assert "empty or of an older bearerwatch" in ran.err


def test_a_bug_shows_where_and_no_token(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    token = fakes.jwt()
    fail_with(monkeypatch, RuntimeError(f"cannot handle {token}"))
    ran = run("fail")
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert "please report it" in ran.err
    assert fakes.leaked(token, ran.err) == []


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    unit = typer.Typer()

    @unit.command()
    def fail() -> None:
        raise error

    class Unit:
        app = unit

    monkeypatch.setattr(_app._units, "names", lambda _: ["fail"])
    monkeypatch.setattr(_app._units, "load", lambda *_: Unit)


def test_a_reader_that_goes_away_is_no_error() -> None:
    ran = subprocess.run(
        f"{sys.executable} -m bearerwatch.cli version | head -c 1",
        shell=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")

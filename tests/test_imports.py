"""What a web process loads when it is watched: its framework, msgspec and the standard library."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "alembic", "apprise", "cryptography", "duckdb", "httpx", "httpx2", "joserfc", "maxminddb", "numpy", "pandas",
    "psycopg", "pyarrow", "requests", "rich", "sigma", "sqlalchemy", "standardwebhooks", "typer", "uvicorn", "yaml",
}  # fmt: skip
FRAMEWORKS = {"django", "fastapi", "flask", "rest_framework", "starlette"}

LOADED = """
import json, sys
before = set(sys.modules)
{first}
framework = set(sys.modules)
{then}
print(json.dumps([sorted(framework - before), sorted(set(sys.modules) - framework)]))
"""
CONFIGURED = "import django.conf; django.conf.settings.configure()"
CASES = {
    "bearerwatch": ("", "import bearerwatch", set()),
    "flask": ("import flask", "import bearerwatch.flask", {"flask"}),
    "django": ("import django.conf, asgiref.sync", "import bearerwatch.django", {"django"}),
    "django-app": (
        f"{CONFIGURED}; import django.core.checks, django.apps",
        "import bearerwatch.django.apps, bearerwatch.django.checks, bearerwatch.django",
        {"django"},
    ),
    "asgi": ("", "import bearerwatch.asgi", set()),
    "starlette": ("import starlette.applications", "import bearerwatch.asgi", {"starlette"}),
    "in use": (
        "import flask; app = flask.Flask('x')",
        "from bearerwatch.flask import Bearerwatch; Bearerwatch(app, sinks='spool,log,stdout'); app.test_client().get('/')",
        {"flask"},
    ),
}


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("name", CASES)
def test_a_web_process_stays_light(name: str) -> None:
    first, then, frameworks = CASES[name]
    done = run(LOADED.format(first=first, then=then))
    assert done.returncode == 0, done.stderr
    _, added = json.loads(done.stdout.splitlines()[-1])
    packages = {module.partition(".")[0] for module in added}
    assert not packages & HEAVY
    assert not packages & (FRAMEWORKS - frameworks)
    foreign = {package for package in packages if package not in sys.stdlib_module_names and package != "__mp_main__"}
    expected = {"bearerwatch", "msgspec", "typing_extensions"}  # the last is msgspec's
    if name == "in use":  # the gate of the accel extra, and what Flask itself loads at its first request
        expected |= {"hyperscan", "werkzeug", "flask", "markupsafe", "jinja2", "itsdangerous", "blinker", "click"}
    assert foreign <= expected
    ours = {module for module in added if module.startswith("bearerwatch.")}
    for room in ("store", "ingest", "detect", "alert", "server", "cli", "demo", "testing", "doctor", "verify"):
        assert not {module for module in ours if module.split(".")[1] == room}


def test_the_accelerator_is_loaded_only_when_something_is_redacted() -> None:
    done = run("import sys, bearerwatch, bearerwatch.asgi; print('hyperscan' in sys.modules)")
    assert done.stdout == "False\n", done.stderr


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
import bearerwatch
{then}
"""


@pytest.mark.parametrize(
    ("missing", "module"),
    [("flask", "bearerwatch.flask"), ("django", "bearerwatch.django"), ("django", "bearerwatch.django.checks")],
)
def test_without_its_framework_an_integration_says_what_to_install(missing: str, module: str) -> None:
    done = run(WITHOUT.format(missing=missing, then=f"import {module}"))
    assert done.returncode == 1
    if module == "bearerwatch.django.checks":  # whoever names it has Django's settings before
        return
    last = done.stderr.splitlines()[-1]
    assert last == (
        f"bearerwatch.errors.DidNotEnable: {missing.capitalize()} is not installed: pip install 'bearerwatch[{missing}]'"
    )


def test_asgi_needs_no_framework() -> None:
    done = run(WITHOUT.format(missing="starlette", then="import bearerwatch.asgi; print('fine')"))
    assert done.stdout == "fine\n", done.stderr


def test_importing_starts_nothing_and_writes_nothing(tmp_path) -> None:
    code = (
        "import logging, sys, threading, warnings\n"
        "before = (logging.Handler.handle, sys.excepthook, warnings.formatwarning, threading.active_count())\n"
        "import bearerwatch, bearerwatch.asgi, bearerwatch.flask\n"
        "after = (logging.Handler.handle, sys.excepthook, warnings.formatwarning, threading.active_count())\n"
        "print(before == after)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert list(tmp_path.iterdir()) == []


def test_every_public_name_is_there() -> None:
    import bearerwatch

    for name in bearerwatch.__all__:
        assert getattr(bearerwatch, name) is not None
    assert bearerwatch.__all__ == sorted(bearerwatch.__all__)

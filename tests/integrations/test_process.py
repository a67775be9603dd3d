"""A process that serves no requests itself is watched by one line; one that a framework watches stays as it is."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import flask
import pytest

import bearerwatch
from bearerwatch import observe
from bearerwatch.errors import ConfigurationError
from bearerwatch.flask import Bearerwatch
from bearerwatch.integrations import _process
from fakes import jwt, leaked
from queued import KEY, queued, until
from spooled import events_in, run


@pytest.fixture(autouse=True)
def nobody_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process, "_how", None)


def test_one_line_and_no_token_is_in_its_log_and_who_logs_one_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bearerwatch.install(service="nightly")
    token = jwt()
    logging.getLogger("nightly").warning("got %s", token)
    assert leaked(token, caplog.text) == []
    (leak,) = events_in(tmp_path / "state" / "spool" / "nightly")
    assert (leak.service, leak.request_id) == ("nightly", None)


def test_twice_is_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARERWATCH_SERVICE", "nightly")
    bearerwatch.install()
    bearerwatch.install()
    _process.begin()
    assert [watch.service for watch in observe._watches] == ["nightly"]


def test_what_a_framework_watches_stays_as_it_is() -> None:
    Bearerwatch(flask.Flask("shop"))
    bearerwatch.install(service="worker-of-the-shop")
    assert [watch.service for watch in observe._watches] == ["shop"]


def test_a_setting_that_cannot_be_used_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError, match="services"):
        bearerwatch.install(services="misspelt")


def test_where_a_library_begins_it_it_fails_for_itself(swallowing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARERWATCH_SPOOL_QUOTA", "much")
    _process.begin()
    assert observe._watches == []


def test_it_loads_nothing_of_what_is_not_used() -> None:
    done = run(
        "import json, sys, bearerwatch; bearerwatch.install();"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))))",
    )
    assert done.returncode == 0, done.stderr
    assert {"celery", "rq", "kombu", "redis", "django", "flask", "starlette"}.isdisjoint(json.loads(done.stdout))


def test_a_web_process_that_does_not_use_queues_loads_no_adapter_of_one() -> None:
    done = run(
        "import sys, flask; from bearerwatch.flask import Bearerwatch; Bearerwatch(flask.Flask('x'));"
        "print([name for name in sys.modules if 'celery' in name or 'rq__' in name or '_jobs' in name])",
    )
    assert done.stdout == "[]\n", done.stderr


DJANGO = """
SECRET_KEY = "of-these-tests-alone"
INSTALLED_APPS = ["bearerwatch.django"]
MIDDLEWARE = ["bearerwatch.django.Middleware"]
ROOT_URLCONF = "of_django"
USE_TZ = True
urlpatterns = []
BEARERWATCH = {"service": "shop-worker", "plain_subjects": True}
"""
DJANGO_APP = """
import os, logging
from celery import Celery
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "of_django")
app = Celery("of_django_app", broker=os.environ["QUEUE_URL"])

@app.task(name="leaks")
def leaks(token):
    from bearerwatch.context import current
    logging.getLogger("shop").warning("%s for %s", token, current.get())
"""


def test_a_worker_of_a_django_project_needs_no_line_at_all(tmp_path: Path) -> None:
    """The two lines of its settings do: nothing of ours is in the Celery application."""
    (tmp_path / "of_django.py").write_text(DJANGO)
    (tmp_path / "of_django_app.py").write_text(DJANGO_APP)
    token = jwt()
    with queued(tmp_path) as shop:
        shop.start(
            "django", "celery", "-A", "of_django_app", "worker", "-c", "1", "-l", "INFO",
            "--without-gossip", "--without-mingle",
            PYTHONPATH=str(tmp_path), DJANGO_SETTINGS_MODULE="of_django",
        )  # fmt: skip
        until(lambda: " ready." in shop.log("django"))
        publish = (
            "import sys, of_django_app; "
            "of_django_app.app.send_task('leaks', args=[sys.stdin.read()], headers={'bearerwatch': "
            "{'request_id': 'of-the-web-process'}})"
        )
        env = {"PYTHONPATH": str(tmp_path), "QUEUE_URL": shop.url, "BEARERWATCH_KEYS": KEY}
        done = subprocess.run([sys.executable, "-c", publish], env=env, input=token, text=True, check=False, timeout=30)
        assert done.returncode == 0
        (leak,) = until(lambda: [one for one in events_in(shop.spool("django")) if "of_django_app" in str(one.detail)])
        log = shop.log("django")
    assert (leak.service, leak.request_id) == ("shop-worker", "of-the-web-process")
    assert "request_id='of-the-web-process'" in log
    assert leaked(token, log) == []

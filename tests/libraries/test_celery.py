"""What a Celery task does is known to be for the request that caused it: real workers, on a real Valkey."""

from __future__ import annotations

import gc
import json
import re
import warnings
from base64 import b64decode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
import redis
from celery import Celery, chain, group
from kombu import pools

from bearerwatch.context import current, parse_traceparent
from bearerwatch.event import AuthEvent, Kind
from bearerwatch.fingerprint import KeyRing, use
from bearerwatch.integrations.libraries import watch_imports
from desk import Desk, facts
from fakes import jwt, leaked, opaque
from queued import KEY, Queued, queued, until
from spooled import events_in

watch_imports()
POOLS = {
    "prefork": ["--pool", "prefork", "-c", "2"],
    "threads": ["--pool", "threads", "-c", "2"],
    "solo": ["--pool", "solo"],
}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queued]:
    with queued(tmp_path_factory.mktemp("celery")) as shop:
        for name, options in POOLS.items():
            shop.start(
                name, "celery", "-A", "celery_shop", "worker", *options, "-Q", name, "-n", f"{name}@x",
                "-l", "INFO", "--without-gossip", "--without-mingle",
            )  # fmt: skip
        for name in POOLS:
            until(lambda name=name: " ready." in shop.log(name))
        yield shop


@pytest.fixture(params=[2, 1], ids=["protocol 2", "protocol 1"])
def protocol(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(autouse=True)
def same_key() -> None:
    use(KeyRing([KEY.encode()]))


@pytest.fixture(scope="module")
def apps(shop: Queued) -> Iterator[dict[int, Celery]]:
    """Whoever publishes, by each of the two message protocols."""
    apps = {}
    for version in (1, 2):
        apps[version] = Celery("web", broker=shop.url, set_as_current=False)
        apps[version].conf.task_protocol = version
    yield apps
    for app in apps.values():
        app.pool.force_close_all()
        app.close()
    apps.clear()
    del app
    pools.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of the connections that Celery's pools leave to be collected
        gc.collect()


@pytest.fixture
def app(apps: dict[int, Celery]) -> Celery:
    return apps[2]


def during(do: Callable[[], Any], token: str | None = None, **given: Any) -> tuple[AuthEvent, Any]:
    """Do something amid a request, and return its event and what came of it."""
    desk = Desk(trusted_proxies="192.0.2.0/24")
    exchange = desk.watch.open(facts(authorization=f"Bearer {token or opaque()}", **given))
    try:
        done = do()
        exchange.finish(200)
    finally:
        exchange.end()
    return desk.kept.events[-1], done


class Results:
    """What became of tasks, as their workers have left it; Celery's own way of asking leaves connections behind."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url)

    def __call__(self, sent: Any) -> Any:
        """The result of a task, by its id or what it was sent as, once it is there."""
        task_id = sent if isinstance(sent, str) else sent.id
        found = json.loads(until(lambda: self._redis.get(f"celery-task-meta-{task_id}")))
        assert found["status"] == "SUCCESS", found["result"]
        return found["result"]

    def failure(self, sent: Any) -> dict[str, Any]:
        """What a task has raised."""
        found = json.loads(until(lambda: self._redis.get(f"celery-task-meta-{sent.id}")))
        assert found["status"] == "FAILURE"
        raised: dict[str, Any] = found["result"]
        return raised

    def message(self, queue: str) -> dict[str, Any]:
        """The next message of a queue that nobody works on."""
        message: dict[str, Any] = json.loads(until(lambda: self._redis.rpop(queue)))
        return message

    def close(self) -> None:
        self._redis.close()


@pytest.fixture(scope="module")
def result(shop: Queued) -> Iterator[Results]:
    results = Results(shop.url)
    yield results
    results.close()


def request_of(event: AuthEvent) -> dict[str, Any]:
    return {
        "request_id": event.request_id,
        "trace_id": event.trace_id,
        "parent_request_id": event.span_id,
        "token_id": event.token_id,
    }


def ids(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name != "task_id"}


def lines_of(shop: Queued, name: str, task_id: str) -> str:
    """What a worker has said of a task, once it has said how that ended."""
    until(lambda: re.search(rf"\[{task_id}\] (succeeded|raised|retry)", shop.log(name)))
    return shop.log(name)


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_is_for_the_request_that_published_it(
    pool: str, apps: dict[int, Celery], protocol: int, result: Results
) -> None:
    app = apps[protocol]
    given = f"00-{TRACE}-00f067aa0ba902b7-01"

    event, sent = during(lambda: app.send_task("seen", queue=pool), traceparent=given)

    assert result(sent) == {**request_of(event), "task_id": sent.id}
    assert event.trace_id == TRACE
    assert event.span_id is not None


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_of_nobodys_is_for_none_also_behind_another(pool: str, app: Celery, result: Results) -> None:
    result(during(lambda: app.send_task("seen", queue=pool))[1])

    assert [result(app.send_task("seen", queue=pool)) for _ in range(4)] == [None] * 4


def test_what_tasks_publish_is_for_the_request_of_theirs(app: Celery, result: Results) -> None:
    event, sent = during(lambda: app.send_task("publishes", queue="prefork"))
    first, second, third = result(sent)
    del third
    assert ids(first) == request_of(event)
    # the task has no queue to publish to but the default one: nobody works on that here
    messages = [result.message("celery") for _ in range(3)]
    told = {message["headers"]["id"]: message["headers"]["bearerwatch"] for message in messages}
    assert {one["request_id"] for one in told.values()} == {event.request_id}
    assert {one["token_id"] for one in told.values()} == {event.token_id}
    trace, parent = parse_traceparent(told[second]["traceparent"])
    assert trace == event.trace_id
    assert parent not in (None, event.span_id)


def test_chains_groups_and_chords_are_for_it_from_end_to_end(app: Celery, result: Results) -> None:
    def sig(name: str) -> Any:
        return app.signature(name, queue="prefork")

    event, sent = during(lambda: chain(sig("seen"), sig("seen"), sig("seen")).apply_async())
    assert ids(result(sent)) == ids(result(sent.parent)) | {"parent_request_id": ids(result(sent))["parent_request_id"]}
    assert {result(sent)["request_id"], result(sent.parent.parent)["request_id"]} == {event.request_id}

    event, sent = during(lambda: group(sig("seen"), sig("seen")).apply_async())
    assert [ids(result(one)) for one in sent.children] == [request_of(event)] * 2

    event, sent = during(lambda: app.send_task("chorded", queue="prefork"))
    *parts, body = result(result(sent))
    assert [part["request_id"] for part in parts] == [event.request_id] * 2
    assert (body["request_id"], body["token_id"], body["trace_id"]) == (
        event.request_id,
        event.token_id,
        event.trace_id,
    )


@pytest.mark.parametrize("pool", POOLS)
def test_retries_are_for_it_too(pool: str, apps: dict[int, Celery], protocol: int, result: Results) -> None:
    app = apps[protocol]
    event, sent = during(lambda: app.send_task("retried", queue=pool))
    times, told = result(f"done-{sent.id}")
    assert times == 2
    assert (told["request_id"], told["token_id"], told["trace_id"]) == (
        event.request_id,
        event.token_id,
        event.trace_id,
    )


def test_a_task_run_amid_another_leaves_it_as_it_was(app: Celery, result: Results) -> None:
    event, sent = during(lambda: app.send_task("eagerly", queue="prefork"))
    inner, behind = result(sent)
    assert inner == behind == {**request_of(event), "task_id": sent.id}


def test_an_eager_task_runs_amid_the_request_itself() -> None:
    eager = Celery("eager", set_as_current=False)
    eager.conf.task_always_eager = True
    found: list[Any] = []

    @eager.task(name="looks")
    def looks() -> None:
        found.append(current.get())

    event, _ = during(lambda: (looks.delay(), found.append(current.get())))

    assert found[0] is found[1]
    assert found[0].request_id == event.request_id
    eager.close()


def test_what_a_task_asks_of_another_service_is_for_it(app: Celery, result: Results) -> None:
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        event, sent = during(lambda: app.send_task("asks", args=[url], queue="threads"))
        result(sent)
        thread.join()
    (heard,) = asked
    assert heard["x-request-id"] == event.request_id
    trace, parent = parse_traceparent(heard["traceparent"])
    assert trace == event.trace_id
    assert parent not in (None, event.span_id)  # the task's own
    assert "authorization" not in heard


def test_what_is_published_holds_neither_token_nor_whose_it_is(app: Celery, result: Results) -> None:
    token = jwt({"sub": "a-subject-of-its-own", "exp": 4102444800})
    event, _ = during(lambda: app.send_task("seen", queue="nobody works here"), token=token)
    message = result.message("nobody works here")
    assert set(message["headers"]["bearerwatch"]) == {"request_id", "traceparent", "token_id"}
    everything = json.dumps(message) + b64decode(message["body"]).decode()
    assert leaked(token, everything) == []
    assert "a-subject" not in everything
    assert message["headers"]["bearerwatch"]["token_id"] == event.token_id


@pytest.mark.parametrize("kind", [jwt, opaque])
def test_what_celery_shows_of_the_arguments_shows_no_token(
    kind: Callable[[], str], app: Celery, result: Results
) -> None:
    token = kind()
    event, _ = during(
        lambda: app.send_task("logs", args=[token, "a lamp"], kwargs={"note": token}, queue="nor here"), token=token
    )
    message = result.message("nor here")
    assert message["headers"]["argsrepr"] == f"['[token {event.token_id}]', 'a lamp']"
    assert leaked(token, json.dumps(message["headers"])) == []
    args, kwargs, _ = json.loads(b64decode(message["body"]))
    assert (args, kwargs) == ([token, "a lamp"], {"note": token})


HOSTILE: list[Any] = [
    "no dict",
    7,
    [],
    {},
    {"request_id": 12345678},
    {"request_id": "short"},
    {"request_id": "a line\nand another", "token_id": "k00000000:" + "0" * 32},
    {"request_id": "x" * 129},
    {"request_id": ["of-its-own"]},
]


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_what_others_write_to_the_broker_is_believed_by_its_form_alone(pool: str, app: Celery, result: Results) -> None:
    sent = [app.send_task("seen", queue=pool, headers={"bearerwatch": what}) for what in HOSTILE]
    assert [result(one) for one in sent] == [None] * len(HOSTILE)

    held = opaque()
    odd = {
        "request_id": "of-a-form",
        "token_id": held,
        "traceparent": f"00-{held}-01",
        "subject": "x",
        "n": {"deep": 1},
    }
    told = result(app.send_task("seen", queue=pool, headers={"bearerwatch": odd}))
    assert {name: value for name, value in told.items() if name != "task_id"} == {
        "request_id": "of-a-form", "trace_id": None, "parent_request_id": None, "token_id": None,
    }  # fmt: skip
    token = jwt()
    told = result(app.send_task("seen", queue=pool, headers={"bearerwatch": {"request_id": token[:120]}}))
    assert told is None


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("kind", [jwt, opaque])
def test_a_token_among_the_arguments_is_not_to_be_read_in_what_the_worker_says(
    pool: str, kind: Callable[[], str], app: Celery, shop: Queued, result: Results
) -> None:
    token = kind()
    event, sent = during(
        lambda: app.send_task("logs", args=[f"Bearer {token}", token], kwargs={"note": token}, queue=pool), token=token
    )
    result(sent)
    _, failed = during(lambda: app.send_task("fails", args=[token], queue=pool), token=token)
    assert result.failure(failed)["exc_type"] == "ValueError"

    said = lines_of(shop, pool, sent.id) + lines_of(shop, pool, failed.id)

    assert leaked(token, said) == []
    assert f"[token {event.token_id}]" in said
    for line in ("received", "succeeded", "raised unexpected", "Traceback", "and once more", "printed"):
        assert line in said
    for line in ("words (", "and once more", "printed", "succeeded"):
        assert re.search(rf"{re.escape(line)}.* request_id={event.request_id}.* task_id={sent.id}", said)


def test_a_token_is_held_no_longer_than_its_task(app: Celery, shop: Queued, result: Results) -> None:
    """Else a worker would hold whatever it was ever given: one process, so that it is the same."""
    token = opaque()
    _, sent = during(lambda: app.send_task("logs", args=[token], queue="solo"), token=token)
    result(sent)
    again = app.send_task("logs", args=[token], queue="solo")
    result(again)
    assert leaked(token, lines_of(shop, "solo", again.id)) != []  # an opaque token that nobody knows


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_who_logs_a_token_in_a_worker_is_told_of_with_the_request(
    pool: str, app: Celery, shop: Queued, result: Results
) -> None:
    token = jwt()
    event, sent = during(lambda: app.send_task("leaks", args=[token], queue=pool))
    result(sent)

    def told() -> list[AuthEvent]:
        return [one for one in events_in(shop.spool(pool)) if "celery_shop.leaks" in str(one.detail)]

    (leak,) = until(told)
    assert (leak.kind, leak.service, leak.reason) == (Kind.LEAK, "shop-worker", "jwt")
    assert (leak.request_id, leak.trace_id, leak.parent_request_id) == (event.request_id, event.trace_id, event.span_id)
    assert leak.token_id == KeyRing([KEY.encode()]).token_id(token)

"""What an RQ job does is known to be for the request that caused it: real workers, on a real Valkey."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
import redis
from rq import Callback, Queue, Retry
from rq.job import Job
from rq.results import Result

from bearerwatch.context import parse_traceparent
from bearerwatch.event import AuthEvent, Kind
from bearerwatch.fingerprint import KeyRing, use
from bearerwatch.integrations.libraries import watch_imports
from desk import Desk, facts
from fakes import jwt, leaked, opaque
from libraries.versions import since
from queued import KEY, Queued, queued, until
from spooled import events_in

watch_imports()
WORKERS = {"forks": "rq.Worker", "simple": "rq.SimpleWorker"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queued]:
    with queued(tmp_path_factory.mktemp("rq")) as shop:
        for name, kind in {**WORKERS, "spawns": "rq_settings.Spawning"}.items():
            shop.start(
                name, "rq.cli", "worker", "--config", "rq_settings", "--worker-class", kind, "--with-scheduler", name
            )
        for name in WORKERS:
            until(lambda name=name: "istening on" in shop.log(name))
        yield shop


@pytest.fixture(autouse=True)
def same_key() -> None:
    use(KeyRing([KEY.encode()]))


@pytest.fixture(scope="module")
def connection(shop: Queued) -> Iterator[redis.Redis]:
    connection = redis.Redis.from_url(shop.url)
    yield connection
    connection.close()


@pytest.fixture(params=WORKERS)
def queue(request: pytest.FixtureRequest, connection: redis.Redis) -> Queue:
    return Queue(request.param, connection=connection)


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


def request_of(event: AuthEvent) -> dict[str, Any]:
    return {
        "request_id": event.request_id,
        "trace_id": event.trace_id,
        "parent_request_id": event.span_id,
        "token_id": event.token_id,
    }


def result(job: Job) -> Any:
    """What a job has returned, once it has."""

    def last() -> Result | None:
        found = job.latest_result()
        return found if found is not None and found.type.name != "RETRIED" else None

    found = until(last)
    assert found.type is Result.Type.SUCCESSFUL, found.exc_string
    return found.return_value


def lines_of(shop: Queued, name: str, job: Job) -> str:
    """What a worker has said of a job, once it has said how that ended."""
    ended = re.compile(rf"Job OK \({job.id}\)|[Jj]ob {job.id}\]?: exc")  # in brackets before 3.0
    until(lambda: ended.search(shop.log(name)))
    return shop.log(name)


@pytest.mark.parametrize("function", ["rq_shop.seen", "rq_shop.seen_later"])
def test_a_job_is_for_the_request_that_enqueued_it(function: str, queue: Queue) -> None:
    event, job = during(lambda: queue.enqueue(function), traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")

    assert result(job) == {**request_of(event), "task_id": job.id}
    assert event.trace_id == TRACE
    assert event.span_id is not None


def test_a_work_horse_that_is_spawned_knows_it_by_its_class(connection: redis.Redis) -> None:
    event, job = during(lambda: Queue("spawns", connection=connection).enqueue("rq_shop.seen"))
    assert result(job) == {**request_of(event), "task_id": job.id}


def test_a_job_of_nobodys_is_for_none_also_behind_another(queue: Queue) -> None:
    result(during(lambda: queue.enqueue("rq_shop.seen"))[1])
    assert [result(queue.enqueue("rq_shop.seen")) for _ in range(2)] == [None] * 2


def test_jobs_that_are_scheduled_or_enqueued_together_are_for_it_too(queue: Queue) -> None:
    def enqueue() -> list[Job]:
        first, second = queue.enqueue_many([Queue.prepare_data("rq_shop.seen"), Queue.prepare_data("rq_shop.seen")])
        later = queue.enqueue_in(timedelta(seconds=0), "rq_shop.seen")
        return [first, second, later, queue.enqueue("rq_shop.seen", depends_on=[first, second])]

    event, jobs = during(enqueue)
    for job in jobs:
        if job is not jobs[2]:
            assert result(job) == {**request_of(event), "task_id": job.id}
    # RQ's scheduler looks once a second: what it will put into the queue is looked at instead
    assert Job.fetch(jobs[2].id, connection=queue.connection).meta["bearerwatch"]["request_id"] == event.request_id


def test_meta_of_the_applications_own_is_left_alone(queue: Queue) -> None:
    mine = {"of": "mine"}
    event, job = during(lambda: queue.enqueue("rq_shop.with_meta", meta=mine))
    told, meta = result(job)
    assert mine == {"of": "mine"}
    assert told == {**request_of(event), "task_id": job.id}
    assert meta["of"] == "mine"
    assert set(meta) == {"of", "bearerwatch"}
    assert "meta" not in pickle.loads(job.data)


def test_a_retry_is_for_it_too_also_where_the_job_has_put_another_meta_in_place(queue: Queue) -> None:
    event, job = during(lambda: queue.enqueue("rq_shop.fails_once", retry=Retry(max=2)))
    until(lambda: (found := job.latest_result()) is not None and found.type is Result.Type.SUCCESSFUL)
    assert job.latest_result().return_value == [1, {**request_of(event), "task_id": job.id}]


@pytest.mark.skipif(not since("rq", "2.1"), reason="what a job returns is no wish to be done again before RQ 2.1")
def test_a_job_that_asks_to_be_done_again_is_for_it_too(queue: Queue) -> None:
    event, job = during(lambda: queue.enqueue("rq_shop.again"))
    assert result(job) == {**request_of(event), "task_id": job.id}


def test_what_a_job_enqueues_is_for_the_request_of_its_own(queue: Queue) -> None:
    event, job = during(lambda: queue.enqueue("rq_shop.enqueues", "nobody works here"))
    told, second = result(job)
    found = Job.fetch(second, connection=queue.connection).meta["bearerwatch"]
    assert (found["request_id"], found["token_id"]) == (event.request_id, event.token_id)
    trace, parent = parse_traceparent(found["traceparent"])
    assert trace == event.trace_id == told["trace_id"]
    assert parent not in (None, event.span_id)


def test_a_queue_that_waits_for_nobody_runs_its_jobs_amid_the_request_itself(connection: redis.Redis) -> None:
    queue = Queue("at once", is_async=False, connection=connection)
    event, job = during(lambda: queue.enqueue("queued.rq_shop.seen"))
    told = job.return_value()
    assert told["request_id"] == event.request_id
    assert told["task_id"] is None


def test_what_a_job_asks_of_another_service_is_for_it(queue: Queue) -> None:
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
        event, job = during(lambda: queue.enqueue("rq_shop.asks", f"http://127.0.0.1:{server.server_port}/"))
        result(job)
        thread.join()
    (heard,) = asked
    assert heard["x-request-id"] == event.request_id
    assert parse_traceparent(heard["traceparent"])[0] == event.trace_id


def test_what_is_enqueued_holds_neither_token_nor_whose_it_is(connection: redis.Redis) -> None:
    token = jwt({"sub": "a-subject-of-its-own", "exp": 4102444800})
    event, job = during(lambda: Queue("nobody works here", connection=connection).enqueue("rq_shop.seen"), token=token)
    assert job.description == "rq_shop.seen()"
    kept = b"".join(connection.hgetall(f"rq:job:{job.id}").values())
    assert leaked(token, kept) == []
    assert b"a-subject" not in kept
    assert str(event.token_id).encode() in kept


@pytest.mark.parametrize(
    "what",
    ["no dict", 7, [], {}, {"request_id": 12345678}, {"request_id": "a line\nand another"}, {"request_id": "x" * 129}],
)
def test_what_others_write_to_the_broker_is_believed_by_its_form_alone(what: Any, connection: redis.Redis) -> None:
    job = Queue("simple", connection=connection).enqueue("rq_shop.seen", meta={"bearerwatch": what})
    assert result(job) is None


@pytest.mark.parametrize("kind", [jwt, opaque])
def test_a_token_among_the_arguments_is_not_to_be_read_in_what_the_worker_says(
    kind: Callable[[], str], queue: Queue, shop: Queued
) -> None:
    token = kind()
    event, job = during(lambda: queue.enqueue("rq_shop.logs", f"Bearer {token}", note=token), token=token)
    result(job)
    _, failed = during(
        lambda: queue.enqueue("rq_shop.fails", token, on_failure=Callback("rq_shop.seen")),
        token=token,
    )
    until(failed.latest_result)

    said = lines_of(shop, queue.name, failed)

    assert leaked(token, said) == []
    assert f"[token {event.token_id}]" in said
    for line in ("rq_shop.logs(", "rq_shop.fails(", "words (", "Job OK", "Traceback"):
        assert line in said
    for line in ("words (", "Job OK"):
        assert re.search(rf"{re.escape(line)}.* request_id={event.request_id}.* task_id={job.id}", said)


def test_a_token_is_held_no_longer_than_its_job(connection: redis.Redis, shop: Queued) -> None:
    """Else a worker would hold whatever it was ever given: one that does all jobs by itself."""
    token, queue = opaque(), Queue("simple", connection=connection)
    _, job = during(lambda: queue.enqueue("rq_shop.logs", token), token=token)
    result(job)
    again = queue.enqueue("rq_shop.logs", token)
    result(again)
    assert leaked(token, lines_of(shop, "simple", again)) != []  # an opaque token that nobody knows


def test_who_logs_a_token_in_a_worker_is_told_of_with_the_request(queue: Queue, shop: Queued) -> None:
    token = jwt()
    event, job = during(lambda: queue.enqueue("rq_shop.leaks", token, description="leaks"))
    result_ = until(job.latest_result)
    assert result_.type is Result.Type.SUCCESSFUL

    def told() -> list[AuthEvent]:
        return [one for one in events_in(shop.spool(queue.name)) if "rq_shop.leaks" in str(one.detail)]

    (leak,) = until(told)
    assert (leak.kind, leak.service, leak.reason) == (Kind.LEAK, "shop-worker", "jwt")
    assert (leak.request_id, leak.trace_id, leak.parent_request_id) == (event.request_id, event.trace_id, event.span_id)

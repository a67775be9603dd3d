"""A request that a gateway and a service both saw is counted once, whatever ids callers send."""

from __future__ import annotations

from bearerwatch.ingest.told import Told


def test_a_log_repeats_what_a_service_told_of() -> None:
    told = Told()

    assert not told("spool:shop", "req-1")
    assert told("access:edge", "req-1")
    assert not told("access:edge", "req-2")


def test_a_service_never_repeats() -> None:
    """What it knows is more than what a log does, whichever came first."""
    told = Told()

    assert not told("access:edge", "req-1")
    assert not told("spool:shop", "req-1")
    assert not told("spool:billing", "req-1")


def test_an_id_sent_again_hides_no_more_than_was_told_of() -> None:
    """Else a caller could send one good request and then guess under its id."""
    told = Told()
    told("spool:shop", "req-1")

    assert [told("access:edge", "req-1") for _ in range(5)] == [True, False, False, False, False]
    told("spool:shop", "req-1")
    assert not told("access:edge", "req-1"), "that was the sixth, and two were told of"


def test_of_two_gateways_in_a_row_one_counts() -> None:
    told = Told()

    assert not told("access:balancer", "req-1")
    assert told("access:edge", "req-1")


def test_memory_is_bounded() -> None:
    told = Told(capacity=100)
    for number in range(1_000):
        told("spool:shop", f"req-{number}")

    assert told("access:edge", "req-999")
    assert not told("access:edge", "req-0")
    assert len(told._young) + len(told._old) <= 200


def test_it_may_begin_with_what_was_told_before() -> None:
    assert Told([("spool:shop", "req-1")])("access:edge", "req-1")

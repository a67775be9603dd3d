"""The last of the demonstration's screen: what was attacked, what was promised, where to look next."""

from __future__ import annotations

import shlex
from pathlib import Path

from bearerwatch.demo.layout import Layout
from bearerwatch.demo.screen import Screen
from bearerwatch.demo.thread import Followed
from bearerwatch.demo.verdict import Fought, Verdict

__all__ = ["show"]


def show(screen: Screen, layout: Layout, verdict: Verdict) -> None:
    """Tell a reader what the run showed."""
    screen.rest()
    screen.table(
        "What was attacked, and how soon it was noticed",
        ("", "attack", "requests#", "alert", "seconds to alert#"),
        [_row(one) for one in verdict.fought],
    )
    screen.checks("What was promised, and what was found", _checks(verdict))
    problems = _problems(verdict)
    if problems:
        screen.lines("What to look at", [("✗", problem) for problem in problems])
    credentials = (
        f"no file: the samples' credential stores ({_shown(layout.data)}/*.db) hold digests alone and were searched too"
    )
    screen.lines("Left out of the sweep", [("·", reason) for reason in (*verdict.proof.report.excluded, credentials)])
    screen.lines("Where to look next", _next(layout, verdict.thread))
    text = "All of it is true." if verdict.holds else "Not all of it is true: see the crosses above."
    screen.verdict(verdict.holds, f"{text} ({verdict.seconds:.0f} s)")


def _row(one: Fought) -> tuple[str, ...]:
    rules = sorted(one.alerts, key=lambda rule: one.alerts[rule])
    return (
        "✓" if one.noticed else "✗",
        one.attack.name,
        str(one.requests),
        ", ".join(rules) or "none",
        "-" if one.seconds is None else f"{one.seconds:.2f}",
    )


def _checks(verdict: Verdict) -> list[tuple[bool, str, str]]:
    books, proof, thread = verdict.books, verdict.proof, verdict.thread
    noticed = sum(one.noticed for one in verdict.fought)
    signed = f"{verdict.forged} had a wrong signature" if verdict.forged else "all signatures verified"
    stray = ", ".join(sorted({alert.rule for alert in verdict.benign_alerts})) or "none"
    counted = (
        f"By the client's own log {books.complete} complete responses, {books.cut} cut off; in the lake {books.events} "
        f"events. Missing {len(books.missing)}, duplicated {len(books.duplicated)}, without a request "
        f"{len(books.unexplained)}, telling another status {len(books.differing)}."
    )
    swept = (
        f"{proof.report.tokens - len(proof.planted)} tokens looked for in {proof.report.files} files, "
        f"{proof.report.searched / 1e6:.1f} MB with what was decoded: {len(proof.leaks)} found. Of "
        f"{len(proof.planted)} tokens planted to test the sweep {len(proof.planted) - len(proof.missed)} were found."
    )
    return [
        (
            noticed == len(verdict.fought) and not verdict.forged,
            "Every attack was noticed.",
            f"{noticed} of {len(verdict.fought)}; the alerts came by webhook, {signed}.",
        ),
        (
            not verdict.benign_alerts,
            "Nobody was alarmed without cause.",
            f"{verdict.benign_requests} benign requests, before and between the attacks. Alerts about them: {stray}.",
        ),
        (thread.holds, "One request is one thread, with one fingerprint.", _thread(thread)),
        (books.holds, "Every request has its one event.", counted),
        (proof.holds, "No token is to be read anywhere.", swept),
        *((False, "Everything stopped as it should.", fault) for fault in verdict.faults),
    ]


def _thread(thread: Followed) -> str:
    through = ", ".join(thread.places) or "nobody"
    what = f"{len(thread.entries)} entries of {through}, by one request id, one trace and the token's fingerprint."
    return what if thread.holds else f"{what} Missing {len(thread.missing)}, differing {len(thread.differing)}."


def _problems(verdict: Verdict) -> list[str]:
    books, proof = verdict.books, verdict.proof
    found = [*verdict.thread.missing, *verdict.thread.differing[:3]]
    found += [f"no event: {name}" for name in books.missing[:3]]
    found += [f"several events: {name}" for name in books.duplicated[:3]]
    found += [f"no request: {name}" for name in books.unexplained[:3]]
    found += books.differing[:3]
    found += [str(leak) for leak in proof.leaks[:8]]
    found += [f"planted, not found: {planted.kind}" for planted in proof.missed]
    found += [f"not read: {unread}" for unread in proof.report.unread[:3]]
    return found


def _shown(path: Path) -> str:
    """As short as can be typed in this folder."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _next(layout: Layout, thread: Followed) -> list[tuple[str, str]]:
    state = f"--state {_shown(layout.state)}"
    followed = (f"bearerwatch timeline {state} --request-id {thread.request_id}", "the request that was followed")
    return [
        (f"bearerwatch alerts {state}", "the alerts"),
        (f"bearerwatch events {state} --outcome revoked", "who used a revoked token"),
        (f"bearerwatch timeline {state} --address 203.0.113.10", "what the first attacker did"),
        *([followed] if thread.request_id else []),
        (f"less {_shown(layout.logs / 'shop-flask.log')}", "a log: tokens by fingerprint alone"),
        (f"less {_shown(layout.client_log)}", "the client's own log, to recount"),
    ]

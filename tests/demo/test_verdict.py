"""The run counts as good only if all of it is, and the end of the screen says what is not."""

from __future__ import annotations

import io
import random
import secrets
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.demo import ending
from bearerwatch.demo.attacks import all_attacks
from bearerwatch.demo.client import Api, Client, ClientLog
from bearerwatch.demo.layout import Layout
from bearerwatch.demo.receiver import Alert
from bearerwatch.demo.recount import Recount
from bearerwatch.demo.screen import Screen
from bearerwatch.demo.thread import Followed
from bearerwatch.demo.verdict import Fought, Verdict
from bearerwatch.demo.wallet import Wallet
from bearerwatch.demo.world import World
from bearerwatch.fingerprint import KeyRing
from bearerwatch.testing import Proof, Report, Unread


@pytest.fixture
def world(tmp_path: Path) -> Any:
    api = Api("shop", "Shop", 1)
    log = ClientLog(tmp_path / "client.jsonl")
    yield World(api, api, api, Client(log), Wallet(KeyRing([b"k" * 32])), random.Random(1))
    log.close()


def alert(rule: str, key: dict[str, str]) -> Alert:
    return Alert(1.0, "opened", {"rule": rule, "group": key, "level": "high", "title": rule})


@pytest.fixture
def good(world: World) -> Verdict:
    fought = [Fought(a, 80, dict.fromkeys(a.rules, 0.5)) for a in all_attacks(world)]
    books = Recount(requests=500, complete=499, cut=1, events=500)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    thread = Followed("0f" * 16, "k00000000:" + "1" * 32, [{"ts": at, "service": "gateway", "kind": "access"}])
    return Verdict(fought, 300, [], 0, thread, books, Proof(Report(40), [], [], []))


def shown(verdict: Verdict, tmp_path: Path) -> str:
    layout = Layout.make(tmp_path / "out")
    stream = io.StringIO()
    with Screen(layout.terminal, stream) as screen:
        ending.show(screen, layout, verdict)
    return stream.getvalue()


def test_all_is_well(good: Verdict, tmp_path: Path) -> None:
    assert good.holds
    assert good.to_dict()["ok"] is True
    text = shown(good, tmp_path)
    assert "✓ All of it is true." in text
    assert "✗" not in text
    assert all(one.attack.name in text for one in good.fought)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda v: v.fought[2].alerts.clear(), "5 of 6"),
        (lambda v: v.benign_alerts.append(alert("token_sharing", {})), "Alerts about them: token_sharing."),
        (lambda v: setattr(v, "forged", 1), "1 had a wrong signature"),
        (lambda v: v.thread.missing.append("shop-worker tells nothing of it"), "shop-worker tells nothing of it"),
        (lambda v: v.thread.differing.append("shop-flask tells of no token"), "shop-flask tells of no token"),
        (lambda v: v.thread.entries.clear(), "0 entries of nobody"),
        (lambda v: v.books.missing.append("shop abc"), "no event: shop abc"),
        (lambda v: v.books.duplicated.append("shop abc"), "several events: shop abc"),
        (lambda v: v.books.unexplained.append("shop abc"), "no request: shop abc"),
        (lambda v: v.books.differing.append("shop abc: client saw 200"), "shop abc: client saw 200"),
        (lambda v: v.proof.report.unread.append(Unread("x.gz", "broken")), "not read: x.gz: broken"),
        (lambda v: v.faults.append("shop did not stop"), "shop did not stop"),
    ],
)
def test_one_thing_wrong_is_enough(spoil: Any, told: str, good: Verdict, tmp_path: Path) -> None:
    spoil(good)

    assert not good.holds
    assert good.to_dict()["ok"] is False
    text = " ".join(shown(good, tmp_path).split())
    assert told in text
    assert "✗ Not all of it is true" in text


def test_an_attack_owns_alerts_about_its_addresses_and_tokens(world: World) -> None:
    attack = all_attacks(world)[0]
    held = attack._with(world.wallet.keep("x", secrets.token_urlsafe(30)))
    attack._from("203.0.113.10")

    assert attack.owns(alert("brute_force", {"client_ip": "203.0.113.10"}))
    assert attack.owns(alert("request_burst", {"token_id": world.wallet.token_id(held)}))
    assert not attack.owns(alert("brute_force", {"client_ip": "203.0.113.11"}))
    assert not attack.owns(alert("request_burst", {"token_id": "k1:0"}))
    assert not attack.owns(alert("odd", {}))


def test_there_are_six_attacks_with_rules_that_exist(world: World) -> None:
    attacks = all_attacks(world)

    assert len(attacks) == len({a.name for a in attacks}) == len({a.rules[0] for a in attacks}) == 6
    rules = {path.name for path in resources.files("bearerwatch.detect.rules").iterdir()}
    assert {f"{rule}.yml" for attack in attacks for rule in attack.rules} <= rules


def test_the_wallet_tells_tokens_apart_by_label(world: World) -> None:
    first, second = (world.wallet.keep("a JWT", secrets.token_urlsafe(30)) for _ in range(2))

    assert (first.label, second.label) == ("a JWT", "a JWT 2")
    assert world.wallet.all() == {"a JWT": first.token, "a JWT 2": second.token}
    assert len(world.wallet) == 2

"""What a run showed, and whether it is what was promised."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bearerwatch.demo.attacks import Attack
from bearerwatch.demo.receiver import Alert
from bearerwatch.demo.recount import Recount
from bearerwatch.demo.thread import Followed
from bearerwatch.testing.sweep import Proof

__all__ = ["Fought", "Verdict"]


@dataclass(slots=True)
class Fought:
    """One attack and what became of it."""

    attack: Attack
    requests: int
    alerts: dict[str, float]
    """Rule -> seconds from the first bad request to the arrival of its alert."""

    @property
    def noticed(self) -> bool:
        """Whether every rule it should raise has alerted."""
        return all(rule in self.alerts for rule in self.attack.rules)

    @property
    def seconds(self) -> float | None:
        """From the first bad request to the alert that names the attack."""
        return self.alerts.get(self.attack.rules[0])


@dataclass(slots=True)
class Verdict:
    """What the run showed."""

    fought: list[Fought]
    benign_requests: int
    benign_alerts: list[Alert]
    """Alerts that no attack explains, whenever they came."""
    forged: int
    thread: Followed
    books: Recount
    proof: Proof
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether all of it is true."""
        return (
            all(one.noticed for one in self.fought)
            and not self.benign_alerts
            and not self.forged
            and not self.faults
            and self.thread.holds
            and self.books.holds
            and self.proof.holds
        )

    def to_dict(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        return {
            "ok": self.holds,
            "seconds": round(self.seconds, 1),
            "attacks": [
                {
                    "attack": one.attack.name,
                    "requests": one.requests,
                    "noticed": one.noticed,
                    "seconds_to_alert": None if one.seconds is None else round(one.seconds, 3),
                    "alerts": {rule: round(after, 3) for rule, after in one.alerts.items()},
                }
                for one in self.fought
            ],
            "benign": {"requests": self.benign_requests, "alerts": [a.rule for a in self.benign_alerts]},
            "forged_webhooks": self.forged,
            "thread": self.thread.to_dict(),
            "recount": self.books.to_dict(),
            "sweep": self.proof.to_dict(),
            "faults": self.faults,
        }

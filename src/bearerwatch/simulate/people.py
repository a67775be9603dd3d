"""Who uses the service: where they are at any instant, and which token they hold then."""

from __future__ import annotations

from typing import Any

import numpy as np

from bearerwatch.simulate.columns import NONE, SECOND, Array, chance, mix, pick
from bearerwatch.simulate.geography import CITIES, NETWORKS, SIX, address, at_home, networks
from bearerwatch.simulate.vocabulary import APPS, BROWSERS, agent

__all__ = ["DAY", "EPOCHS", "HOUR", "People", "weekday"]

HOUR = 3600 * SECOND
DAY = 24 * HOUR
EPOCHS = 1 << 20
"""A person's tokens are numbered from the person's number times this."""

_LIFE = (0, DAY, HOUR)
"""How long (µs) a token lasts: for ever, as static API tokens do; a day; an hour."""
_LIVES = np.array(_LIFE)
_SHARE = (0.4, 0.7)
"""Who holds a token of the first kind, and who one of the first or the second."""
_ZIPF = 0.9
_OFFICE_HOURS = (8, 18)
_NIGHT, _EVENING = 0.08, 0.55
_WEEKEND = 0.45


def weekday(at: Array | int) -> Array:
    """Monday is 0; 1970 began with a Thursday."""
    days: Array = (np.asarray(at) // DAY + 3) % 7
    return days


class People:
    """So many people, each of them a number below that.

    Args:
        count: how many.
        seed: what else they depend on.
    """

    def __init__(self, count: int, seed: int) -> None:
        who = np.arange(count, dtype=np.int64)
        self.count = count
        self.seed = np.uint64(int(mix(seed, 0x9E0)[0]))
        homes, mobiles, offices, vpns = (networks(use) for use in ("home", "mobile", "office", "vpn"))
        # Offices have from some dozen to some hundred people behind one address; who works there lives nearby.
        self.works = self._chance(who, 7) < 0.35
        room = (max(count // 1_000, 1) * self._chance(who, 8) ** 1.5).astype(np.int64)
        office = offices[self._pick(room, 40, len(offices))]
        nearby = _of_country(homes)[office, self._pick(who, 41, 2)]
        self.home_network = np.where(self.works, nearby, homes[self._pick(who, 1, len(homes))])
        cities = np.array([max(len(one.cities), 1) for one in NETWORKS])[self.home_network]
        city = np.where(self.works, self._pick(room, 42, 1 << 20), self._pick(who, 2, 1 << 20)) % cities
        self.office = at_home(office, city, room * 8 % 32_768)
        host = self._pick(who, 3, 1 << 15)
        self.home = at_home(self.home_network, city, host) | np.where(self._chance(who, 4) < 0.2, SIX, 0)
        self.city = np.array([NETWORKS[n].cities[c] for n, c in zip(self.home_network, city, strict=True)], np.int64)
        self.offset = np.array([one.offset for one in CITIES])[self.city] * HOUR
        # Of a country's two carriers one is theirs; a carrier has 40 addresses a city for everybody.
        mobile = _of_country(mobiles)[self.home_network]
        self.mobile = mobile[np.arange(count), self._pick(who, 5, 2)]
        self.phone = self._chance(who, 6) < 0.3
        self.vpn_user = self._chance(who, 9) < 0.03
        self.vpn = address(vpns[self._pick(who, 10, len(vpns))], self._pick(who, 11, 64))
        self.life = _LIVES[np.searchsorted(_SHARE, self._chance(who, 12), side="right")]
        self.phase = (self._chance(who, 13) * DAY).astype(np.int64)
        # Half of the clients renew in time; the others learn from a 401 that it is time to.
        self.late = np.where(self._chance(who, 14) < 0.5, 0, (self._chance(who, 15) * 3 * SECOND).astype(np.int64))
        browsers, apps = (np.array([agent(name) for name in names]) for names in (BROWSERS, APPS))
        self.agent = np.where(
            self.phone, apps[self._pick(who, 16, len(apps))], browsers[self._pick(who, 17, len(browsers))]
        )
        self.client = np.where(self.phone, 1 + self._pick(who, 18, 2), 0)
        order = np.argsort(self._chance(who, 19), kind="stable")
        self.weight = np.empty(count)
        self.weight[order] = 1 / np.arange(1, count + 1) ** _ZIPF
        # Nobody makes more than some twenty times what an ordinary person does: those who do are machines.
        self.weight = np.minimum(self.weight, 20 * np.median(self.weight))

    def _pick(self, who: Array, salt: int, choices: int) -> Array:
        return pick(choices, self.seed, who, salt)

    def _chance(self, who: Array, salt: int, *more: Any) -> Array:
        return chance(self.seed, who, salt, *more)

    def active(self, at: int) -> Array:
        """How much each of them does about then, as weights: by night and on weekends less."""
        local = at + self.offset
        hour = (local // HOUR) % 24
        light = np.where((hour >= 8) & (hour < 18), 1.0, np.where((hour >= 6) & (hour < 23), _EVENING, _NIGHT))
        days = np.where(weekday(local) >= 5, _WEEKEND, 1.0)
        weights: Array = self.weight * light * days
        return weights

    def where(self, who: Array, at: Array) -> Array:
        """The address each of them has then."""
        local = at + self.offset[who]
        hour = (local // HOUR) % 24
        busy = (hour >= _OFFICE_HOURS[0]) & (hour < _OFFICE_HOURS[1]) & (weekday(local) < 5)
        found = np.where(self.works[who] & busy, self.office[who], self.home[who])
        # A phone is on the carrier's network for some of the half hours, each time behind another of its addresses.
        spell = (at + self.phase[who]) // (HOUR // 2)
        out = self.phone[who] & (self._chance(who, 30, spell) < 0.45)
        city = self._pick(who, 31, 1 << 20)
        host = (city % 5) * 64 + self._pick_at(who, 32, spell, 40)
        found = np.where(out, address(self.mobile[who], host), found)
        # Who has a VPN switches it on and off.
        spell = (at + self.phase[who]) // (HOUR // 3)
        return np.where(self.vpn_user[who] & (self._chance(who, 33, spell) < 0.5), self.vpn[who], found)

    def _pick_at(self, who: Array, salt: int, spell: Array, choices: int) -> Array:
        return pick(choices, self.seed, who, salt, spell)

    def token(self, who: Array, at: Array) -> tuple[Array, Array, Array]:
        """What each of them sends then.

        Returns:
            The token's number, when it ends (µs; ``NONE`` for never), and whether it has ended already: for a moment,
            until the client has got a new one.
        """
        life = self.life[who]
        held = np.where(life > 0, life, 1)
        epoch = (at + self.phase[who]) // held
        into = (at + self.phase[who]) - epoch * held
        stale = (life > 0) & (into < self.late[who])
        epoch = np.where(life > 0, (epoch - stale) % (EPOCHS - 1) + 1, 0)
        ends = at - into + np.where(stale, 0, held)
        return who * EPOCHS + epoch, np.where(life > 0, ends, NONE), stale

    def settled(self) -> Array:
        """Who is always in the one place, with a token that lasts: whose token is worth stealing."""
        return np.flatnonzero(~self.phone & ~self.vpn_user & (self.life == 0))


def _of_country(choices: Array) -> Array:
    """For each network, the first two of *choices* in its country; what there is twice if it is one."""
    rows = []
    for network in NETWORKS:
        same = [int(i) for i in choices if NETWORKS[i].country == network.country] or [int(choices[0])]
        rows.append([same[0], same[-1]])
    return np.array(rows)

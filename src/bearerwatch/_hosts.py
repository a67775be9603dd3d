"""Hosts of other services, as a setting names them. Sans-IO."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

__all__ = ["EVERYBODY", "NOBODY", "Hosts"]

EVERYBODY = "*"
NOBODY = "none"
_NAME = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?\Z")


class Hosts:
    """Tells whether a host is one of those named.

    Args:
        named: host names; ``*.example.com`` for all names below one; networks and addresses, for hosts that are given
            as addresses; ``*`` alone for all, ``none`` alone for nobody.

    Raises:
        ValueError: one of *named* is none of these.
    """

    def __init__(self, named: tuple[str, ...]) -> None:
        self.everybody = EVERYBODY in named
        if len(named) > 1 and (self.everybody or NOBODY in named):
            raise ValueError(f"{EVERYBODY!r} and {NOBODY!r} stand alone")
        self._names: set[str] = set()
        self._below: list[str] = []
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for name in named:
            if name not in (EVERYBODY, NOBODY):
                self._add(name)
        self._known = lru_cache(maxsize=1024)(self._holds)

    def __contains__(self, host: str) -> bool:
        """Whether *host*, a name or an address without its port, is one of them."""
        return self.everybody or self._known(host)

    def _add(self, name: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(name.strip("[]"), strict=False))
            return
        except ValueError:
            pass
        name = name.lower().rstrip(".")
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is no host: write it like api.example.com, *.example.com or 10.0.0.0/8")
        if name.startswith("*."):
            self._below.append(name[1:])
        else:
            self._names.add(name)

    def _holds(self, host: str) -> bool:
        host = host.lower().strip("[]").rstrip(".")
        if host in self._names or any(host.endswith(end) and host != end for end in self._below):
            return True
        if not self._networks:
            return False
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address.version == network.version and address in network for network in self._networks)

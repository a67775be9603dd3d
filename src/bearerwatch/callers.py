"""Who called: the peer, or the address that trusted proxies vouch for. Sans-IO."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Literal

__all__ = ["UNIX", "Address", "Callers", "Network", "Proxy", "address", "canonical", "is_loopback"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
UNIX = "unix"
"""Whoever connects through a Unix socket: the server names no address for such a peer."""
Proxy = Network | Literal["unix"]
_MAX_KNOWN = 4096
_MAX_CHAIN = 64
_MAX_READ = 8192


def is_loopback(host: str) -> bool:
    """Whether *host*, a name in lower case or an address, is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Callers:
    """Tells callers apart behind proxies.

    Args:
        trusted: networks of the proxies whose forwarding headers are believed, and :data:`UNIX`; by default nobody's
            are.
    """

    def __init__(self, trusted: tuple[Proxy, ...]) -> None:
        self._unix = UNIX in trusted
        self._trusted = tuple(network for network in trusted if not isinstance(network, str))
        self.trusting = bool(trusted)
        """Whether any proxy's word is taken at all."""
        self._known: dict[str, bool] = {}

    def trusts(self, peer: str) -> bool:
        """Whether *peer* is a proxy whose forwarding headers are believed."""
        if not peer or peer.startswith("/"):
            return self._unix
        if not self._trusted:
            return False
        known = self._known.get(peer)
        if known is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            known = self._known[peer] = _inside(peer, self._trusted)
        return known

    def behind(self, peer: str, forwarded_for: str | None, forwarded: str | None) -> str | None:
        """The caller's address as trusted proxies, read from the right, tell it; for a trusted peer only.

        The de-facto ``X-Forwarded-For``, and ``Forwarded: for=`` (RFC 7239 §5.2) where that is missing: nearly
        every proxy writes the former alone and hands on whatever the caller put into the latter. The nearest
        address that is no trusted proxy is the caller; everything left of it is the caller's own word.
        """
        found = canonical(peer)
        chain = forwarded_for.split(",") if forwarded_for else _elements(forwarded or "")
        for entry in reversed(chain[-_MAX_CHAIN:]):
            named = canonical(entry.strip())
            if named is None:
                return found  # unreadable: nothing left of it can be believed
            found = named
            if not self.trusts(named):
                break
        return found


def address(text: str) -> Address:
    """*text* as an IP address; an IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) is the IPv4 address.

    Raises:
        ValueError: it is none.
    """
    parsed = ipaddress.ip_address(text)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


@lru_cache(maxsize=_MAX_KNOWN)
def canonical(text: str) -> str | None:
    """An IP address in its canonical form, or ``None``: ports and brackets are taken off."""
    if not text or len(text) > 64:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(address(text.partition("%")[0]))
    except ValueError:
        return None


def _inside(text: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = address(text)
    except ValueError:
        return False
    return any(parsed.version == network.version and parsed in network for network in networks)


def _elements(header: str) -> list[str]:
    """The ``for=`` identifiers of a ``Forwarded`` header (RFC 7239 §4), one an element."""
    found: list[str] = []
    for element in header[-_MAX_READ:].split(","):
        value = ""
        for pair in element.split(";"):
            name, _, given = pair.strip().partition("=")
            if name.lower() == "for":
                value = given.strip('"')
        found.append(value)
    return found

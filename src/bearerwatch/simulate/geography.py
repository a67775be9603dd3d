"""Where addresses are: networks that exist nowhere, in places that do, as a GeoIP database would have them.

IPv4 addresses are of 240.0.0.0/4, which is reserved (RFC 1112 §4) and routed nowhere, IPv6 addresses of 2001:db8::/32,
which is for documentation (RFC 3849). A network has one /16 (a /48) and one autonomous system number, of those for
private use (RFC 6996). An address is a number: the network's index, whether it is IPv6, and the host.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bearerwatch.simulate.columns import NONE, Array, chance, mix, pick

__all__ = [
    "CITIES",
    "FIRST_ASN",
    "NETWORKS",
    "SIX",
    "City",
    "Network",
    "address",
    "at_home",
    "networks",
    "place",
    "written",
]


class City(NamedTuple):
    """A place as a GeoIP database names it; degrees."""

    country: str
    name: str
    lat: float
    lon: float
    offset: int
    """Hours east of UTC, for day and night."""


CITIES = (
    City("DE", "Berlin", 52.52, 13.41, 1),
    City("DE", "Hamburg", 53.55, 9.99, 1),
    City("DE", "Munich", 48.14, 11.58, 1),
    City("DE", "Cologne", 50.94, 6.96, 1),
    City("FR", "Paris", 48.85, 2.35, 1),
    City("FR", "Lyon", 45.76, 4.84, 1),
    City("FR", "Toulouse", 43.60, 1.44, 1),
    City("GB", "London", 51.51, -0.13, 0),
    City("GB", "Manchester", 53.48, -2.24, 0),
    City("GB", "Glasgow", 55.86, -4.25, 0),
    City("NL", "Amsterdam", 52.37, 4.90, 1),
    City("NL", "Rotterdam", 51.92, 4.48, 1),
    City("ES", "Madrid", 40.42, -3.70, 1),
    City("ES", "Seville", 37.39, -5.98, 1),
    City("US", "New York", 40.71, -74.01, -5),
    City("US", "Chicago", 41.88, -87.63, -6),
    City("US", "Dallas", 32.78, -96.80, -6),
    City("US", "Seattle", 47.61, -122.33, -8),
    City("US", "San Jose", 37.34, -121.89, -8),
    City("CA", "Toronto", 43.65, -79.38, -5),
    City("CA", "Vancouver", 49.28, -123.12, -8),
    City("BR", "São Paulo", -23.55, -46.63, -3),
    City("BR", "Recife", -8.05, -34.88, -3),
    City("IN", "Mumbai", 19.08, 72.88, 5),
    City("IN", "Bengaluru", 12.97, 77.59, 5),
    City("IN", "Delhi", 28.61, 77.21, 5),
    City("JP", "Tokyo", 35.69, 139.69, 9),
    City("JP", "Osaka", 34.69, 135.50, 9),
    City("AU", "Sydney", -33.87, 151.21, 10),
    City("AU", "Perth", -31.95, 115.86, 8),
    City("SG", "Singapore", 1.35, 103.82, 8),
    City("RO", "Bucharest", 44.43, 26.10, 2),
    City("VN", "Hanoi", 21.03, 105.85, 7),
    City("NG", "Lagos", 6.45, 3.39, 1),
    City("ZA", "Johannesburg", -26.20, 28.05, 2),
)
_HOME = ("DE", "FR", "GB", "NL", "ES", "US", "CA", "BR", "IN", "JP", "AU")
"""Countries in which people live who use the service."""
_PROVIDERS = 3
_REMOTE = ("SG", "RO", "VN", "NG", "ZA", "BR", "IN", "US")


class Network(NamedTuple):
    """One autonomous system, as far as it matters here."""

    use: str
    """``home``, ``mobile``, ``office``, ``vpn``, ``cloud``, ``inside`` or ``hostile``."""
    country: str
    cities: tuple[int, ...]
    """Indexes of the places its addresses are said to be in."""


def _networks() -> tuple[Network, ...]:
    places = {one: tuple(i for i, city in enumerate(CITIES) if city.country == one) for one in _HOME + _REMOTE}
    made = [Network("inside", "", ())]
    for country in _HOME:
        made += [Network("home", country, places[country])] * _PROVIDERS
        made += [Network("mobile", country, places[country])] * 2
        made += [Network("office", country, places[country])]
    # A provider of VPNs has an exit in many countries, each of them a network of its own.
    made += [Network("vpn", country, places[country][:1]) for country in ("NL", "US", "GB", "SG", "DE", "RO")]
    made += [Network("cloud", country, places[country][:1]) for country in ("US", "DE", "SG", "FR")]
    made += [Network("hostile", country, places[country][:1]) for country in _REMOTE for _ in range(4)]
    return tuple(made)


NETWORKS = _networks()
FIRST_ASN = 64_512
"""The first number for private use (RFC 6996 §5); a network's own is this and its index."""
SIX = 1 << 24
"""The bit of an address that says that it is IPv6."""

_SHIFT = 32
_MISTAKEN = 0.004
"""How many blocks of mobile addresses a GeoIP database puts into another country."""
_STRAY = 0.03
"""How many blocks of home addresses it puts into another city."""
_MOBILE = np.array([one.use == "mobile" for one in NETWORKS])
_HOMES = np.array([one.use == "home" for one in NETWORKS])
_COUNT = np.array([max(len(one.cities), 1) for one in NETWORKS])
_WIDEST = int(max(_COUNT))
_TABLE = np.array([(*one.cities, *(NONE,) * (_WIDEST - len(one.cities))) for one in NETWORKS])


def networks(use: str, country: str | None = None) -> Array:
    """Indexes of the networks of that use (in that country)."""
    return np.array([i for i, one in enumerate(NETWORKS) if one.use == use and country in (None, one.country)])


def address(network: Any, host: Any) -> Array:
    """The number of a host's address."""
    return (np.asarray(network, np.int64) << _SHIFT) | np.asarray(host, np.int64)


def at_home(network: Any, city: Any, host: Any) -> Array:
    """An address of a provider that keeps a block of 256 for each of its cities: GeoIP gets these right mostly."""
    return address(network, (np.asarray(host, np.int64) & 0x7FFF) // _WIDEST * _WIDEST + np.asarray(city, np.int64))


def place(addresses: Array) -> Array:
    """Indexes of the places GeoIP says the addresses are in; ``NONE`` where it does not know.

    It says the same of an address every time. Home networks are placed by city, with a few blocks in the wrong one;
    mobile carriers anywhere in their country, with a few blocks abroad.
    """
    network = addresses >> _SHIFT
    known = addresses >= 0
    network = np.where(known, network, 0)
    host = addresses & (SIX - 1)
    block = mix(network, host >> 4, 0xB10C)
    count = _COUNT[network]
    scattered = _MOBILE[network] | (_HOMES[network] & (chance(block, 1) < _STRAY))
    within = np.where(scattered, pick(1 << 30, block, 2) % count, host % _WIDEST % count)
    found = _TABLE[network, within]
    abroad = _MOBILE[network] & (chance(block, 3) < _MISTAKEN)
    found = np.where(abroad, pick(len(CITIES), block, 4), found)
    return np.where(known & (network > 0), found, NONE)


def written(number: int) -> str:
    """An address as text."""
    network, host = number >> _SHIFT, number & 0xFFFF
    if number & SIX:
        return f"2001:db8:{network:x}::{1 + host:x}"
    return f"{240 + (network >> 8)}.{network & 255}.{host >> 8}.{host & 255}"

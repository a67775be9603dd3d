"""What events of a simulated company may say: its services, their routes, and the clients that call them."""

from __future__ import annotations

from typing import NamedTuple

from bearerwatch.event import Kind, Outcome

__all__ = [
    "AGENTS",
    "APPS",
    "BROWSERS",
    "CLIENTS",
    "CRAWLERS",
    "FORMS",
    "GATEWAY",
    "HEALTH",
    "KINDS",
    "OUTCOMES",
    "PROBE",
    "PROBED",
    "PUBLIC",
    "REASONS",
    "ROUTES",
    "SCRIPTS",
    "SERVICES",
    "SOURCES",
    "TOOLS",
    "Route",
    "agent",
    "of_service",
    "outcome",
    "reason",
]

KINDS = (Kind.AUTH.value, Kind.LEAK.value)
OUTCOMES = tuple(one.value for one in Outcome)
FORMS = ("jwt", "opaque", "short")
SOURCES = ("header", "query", "cookie", "log")

SERVICES = ("edge", "orders", "billing", "accounts", "search", "reports")
GATEWAY = 0
"""The service in front of the others: of most requests it tells too."""


class Route(NamedTuple):
    """One route of one service."""

    service: int
    method: str
    template: str
    weight: float
    """Its share of what people call."""
    use: str
    """``people``, ``public``, ``health`` or ``admin``."""


ROUTES = (
    Route(1, "GET", "/orders", 14, "people"),
    Route(1, "GET", "/orders/{id}", 20, "people"),
    Route(1, "POST", "/orders", 3, "people"),
    Route(1, "GET", "/orders/{id}/items", 6, "people"),
    Route(2, "GET", "/invoices", 4, "people"),
    Route(2, "GET", "/invoices/{id}", 7, "people"),
    Route(2, "POST", "/payments", 1, "people"),
    Route(3, "GET", "/me", 18, "people"),
    Route(3, "PATCH", "/me", 0.5, "people"),
    Route(3, "GET", "/users/{id}", 4, "people"),
    Route(4, "GET", "/search", 12, "people"),
    Route(4, "GET", "/products/{id}", 9, "people"),
    Route(5, "GET", "/reports/{id}", 1.5, "people"),
    Route(1, "GET", "/catalogue/{id}", 1, "public"),
    Route(4, "GET", "/sitemap.xml", 1, "public"),
    Route(4, "GET", "/public/products/{id}", 6, "public"),
    *(Route(service, "GET", "/healthz", 1, "health") for service in range(len(SERVICES))),
    Route(1, "DELETE", "/orders/{id}", 1, "admin"),
    Route(2, "POST", "/refunds", 1, "admin"),
    Route(3, "GET", "/admin/users", 1, "admin"),
    Route(3, "POST", "/admin/users/{id}/roles", 1, "admin"),
    Route(3, "DELETE", "/admin/users/{id}", 1, "admin"),
    Route(5, "GET", "/admin/audit", 1, "admin"),
    Route(5, "POST", "/admin/exports", 1, "admin"),
    Route(4, "POST", "/admin/reindex", 1, "admin"),
    Route(2, "GET", "/admin/ledger", 1, "admin"),
    Route(1, "POST", "/admin/orders/{id}/approve", 1, "admin"),
    Route(3, "POST", "/admin/keys", 1, "admin"),
    Route(5, "DELETE", "/admin/reports/{id}", 1, "admin"),
)


def of_service(service: int | None, *uses: str) -> list[int]:
    """The routes of a service (None: of any) of these uses, as indexes."""
    return [i for i, route in enumerate(ROUTES) if route.use in uses and (service is None or route.service == service)]


PUBLIC = of_service(None, "public")
HEALTH = of_service(None, "health")
PROBED = of_service(None, "admin")

REASONS = (
    "alg_none",
    "alg_not_allowed",
    "bad_signature",
    "exception",
    "function_forbidden",
    "keys_unavailable",
    "not_jwt",
    "object_forbidden",
    "past_exp",
    "query_token",
    "unknown_kid",
    "unknown_token",
    "untrusted_key",
    "bad_characters",
    "wrong_audience",
    "blacklisted",
    "jwt",
    "no_route",
)

BROWSERS = tuple(
    f"Mozilla/5.0 ({system}) {engine}"
    for system in ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64")
    for engine in (
        "Gecko/20100101 Firefox/143.0",
        "Gecko/20100101 Firefox/144.0",
        "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
        "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    )
)
APPS = ("ShopApp/4.2 (iPhone; iOS 18.5)", "ShopApp/4.3 (iPhone; iOS 26.0)", "ShopApp/4.3 (Android 16)")
SCRIPTS = ("python-requests/2.32.5", "ci-runner/17.4", "okhttp/5.1.0", "Go-http-client/2.0")
CRAWLERS = ("SearchCrawler/2.1 (+https://crawler.example/about)", "PriceBot/1.4 (+https://prices.example)")
PROBE = "kube-probe/1.34"
TOOLS = ("curl/8.16.0", "python-httpx/0.28.1", "Mozilla/5.0 (compatible; probe)", "hydra-like/9.6")
AGENTS = (*BROWSERS, *APPS, *SCRIPTS, *CRAWLERS, PROBE, *TOOLS)
CLIENTS = ("web", "ios", "android", "ci", "partner")


def outcome(name: str) -> int:
    """An outcome's index."""
    return OUTCOMES.index(name)


def reason(name: str) -> int:
    """A reason's index."""
    return REASONS.index(name)


def agent(name: str) -> int:
    """A user agent's index."""
    return AGENTS.index(name)

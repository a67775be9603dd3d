"""Elastic Common Schema, as Elasticsearch and OpenSearch index it without a pipeline of their own.

https://www.elastic.co/docs/reference/ecs/ecs-field-reference: what has no name there stands under ``bearerwatch``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bearerwatch._version import __version__
from bearerwatch.event import Kind, Outcome
from bearerwatch.formats import _json
from bearerwatch.formats._told import instant, is_address, on_earth, others, summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bearerwatch.event import AuthEvent

__all__ = ["MAPPING", "VERSION", "encode", "to_ecs"]

VERSION = "9.0.0"
"""Version of the schema."""

MAPPING: Mapping[str, str] = {
    "kind": "event.dataset",
    "event_id": "event.id",
    "ts": "@timestamp",
    "outcome": "event.code",
    "reason": "event.reason",
    "verified": "bearerwatch.verified",
    "status": "http.response.status_code",
    "duration_us": "event.duration",
    "count": "bearerwatch.count",
    "detail": "bearerwatch.detail",
    "service": "service.name",
    "instance": "service.node.name",
    "method": "http.request.method",
    "route": "bearerwatch.route",
    "path": "url.path",
    "token_id": "bearerwatch.token_id",
    "token_id_prev": "bearerwatch.token_id_prev",
    "presented_id": "bearerwatch.presented_id",
    "scheme": "bearerwatch.scheme",
    "token_kind": "bearerwatch.token_kind",
    "token_source": "bearerwatch.token_source",
    "subject_id": "user.id",
    "client_id": "bearerwatch.client_id",
    "issuer": "bearerwatch.issuer",
    "scopes": "bearerwatch.scopes",
    "required_scopes": "bearerwatch.required_scopes",
    "expires_at": "bearerwatch.expires_at",
    "client_ip": "source.ip or bearerwatch.client_ip",
    "peer_ip": "bearerwatch.peer_ip",
    "user_agent": "user_agent.original",
    "country": "source.geo.country_iso_code",
    "city": "source.geo.city_name",
    "lat": "source.geo.location.lat or bearerwatch.lat",
    "lon": "source.geo.location.lon or bearerwatch.lon",
    "asn": "source.as.number",
    "request_id": "http.request.id",
    "trace_id": "trace.id",
    "span_id": "span.id",
    "parent_request_id": "bearerwatch.parent_request_id",
}
"""Where each field of an event stands."""

_OWN = (
    "detail",
    "route",
    "token_id",
    "token_id_prev",
    "presented_id",
    "scheme",
    "token_kind",
    "token_source",
    "client_id",
    "issuer",
    "scopes",
    "required_scopes",
    "expires_at",
    "peer_ip",
    "parent_request_id",
)
_ALLOWED = (Outcome.SUCCESS, Outcome.ANONYMOUS)


def to_ecs(event: AuthEvent) -> dict[str, Any]:
    """*event* as an ECS document: nested dicts, lists, strings, numbers and booleans."""
    own = others(event, _OWN)
    if event.verified:
        own["verified"] = True
    if event.count != 1:
        own["count"] = event.count
    about = _about(event)
    document: dict[str, Any] = {
        "@timestamp": instant(event),
        "ecs": {"version": VERSION},
        "message": summary(event),
        "event": about,
        "log": {"level": "info" if about.get("outcome") != "failure" and event.kind != Kind.LEAK else "warning"},
        "agent": {"type": "bearerwatch", "version": __version__},
    }
    service: dict[str, Any] = {}
    if event.service is not None:
        service["name"] = event.service
    if event.instance is not None:
        service["node"] = {"name": event.instance}
    if service:
        document["service"] = service
    if event.subject_id is not None:
        document["user"] = {"id": event.subject_id}
    if event.path is not None:
        document["url"] = {"path": event.path}
    if event.user_agent is not None:
        document["user_agent"] = {"original": event.user_agent}
    if event.trace_id is not None:
        document["trace"] = {"id": event.trace_id}
    if event.span_id is not None:
        document["span"] = {"id": event.span_id}
    _add_http(event, document)
    _add_source(event, document, own)
    if own:
        document["bearerwatch"] = own
    return document


def encode(event: AuthEvent) -> bytes:
    """*event* as one ECS document in JSON."""
    return _json.encode(to_ecs, event)


def _about(event: AuthEvent) -> dict[str, Any]:
    about: dict[str, Any] = {
        "id": event.event_id,
        "kind": "event",
        "module": "bearerwatch",
        "dataset": "bearerwatch." + event.kind,
    }
    if event.kind == Kind.AUTH:
        about["category"] = ["authentication", "api"]
        about["action"] = "token-validation"
        if event.outcome == Outcome.SUCCESS:
            about["outcome"] = "success"
        else:  # a public route: nothing was authenticated, nothing refused
            about["outcome"] = "unknown" if event.outcome in (Outcome.ANONYMOUS, None) else "failure"
        if event.outcome in (Outcome.ERROR, None):
            about["type"] = ["info"]
        else:
            about["type"] = ["info", "allowed" if event.outcome in _ALLOWED else "denied"]
    elif event.kind == Kind.LEAK:
        about["kind"] = "alert"
        about["action"] = "token-redacted"
    if event.outcome is not None:
        about["code"] = event.outcome
    if event.reason is not None:
        about["reason"] = event.reason
    if event.duration_us is not None:
        about["duration"] = event.duration_us * 1000  # nanoseconds
    return about


def _add_http(event: AuthEvent, document: dict[str, Any]) -> None:
    request: dict[str, Any] = {}
    if event.method is not None:
        request["method"] = event.method
    if event.request_id is not None:
        request["id"] = event.request_id
    http: dict[str, Any] = {}
    if request:
        http["request"] = request
    if event.status is not None:
        http["response"] = {"status_code": event.status}
    if http:
        document["http"] = http


def _add_source(event: AuthEvent, document: dict[str, Any], own: dict[str, Any]) -> None:
    source: dict[str, Any] = {}
    geo: dict[str, Any] = {}
    if event.client_ip is not None:
        if is_address(event.client_ip):
            source["ip"] = event.client_ip
        else:  # an index of type ip refuses the whole document
            own["client_ip"] = event.client_ip
    if event.peer_ip is not None and not is_address(event.peer_ip):
        own["peer_ip"] = event.peer_ip
    if event.country is not None:
        geo["country_iso_code"] = event.country
    if event.city is not None:
        geo["city_name"] = event.city
    if on_earth(event.lat, event.lon):
        geo["location"] = {"lat": event.lat, "lon": event.lon}
    else:
        own.update(others(event, ("lat", "lon")))
    if geo:
        source["geo"] = geo
    if event.asn is not None:
        source["as"] = {"number": event.asn}
    if source:
        document["source"] = source

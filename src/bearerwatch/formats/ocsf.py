"""OCSF 1.8.0 (https://schema.ocsf.io/1.8.0), as Amazon Security Lake and most SIEMs take it.

An event of kind ``auth`` is Authentication (3002), activity 99 "Token Validation": a Logon (activity 1) for every
request would drown what dashboards of logons show. Every outcome is of this one class, ``insufficient_scope`` and
``forbidden`` as well: API Activity (6003) wants an actor and an operation we often do not know, and a rate of
refusals can only be counted within one class. A ``leak`` is a Detection Finding (2004), anything else Base Event (0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bearerwatch._version import __version__
from bearerwatch.event import Kind, Outcome
from bearerwatch.formats import _json
from bearerwatch.formats._told import is_address, on_earth, others, summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bearerwatch.event import AuthEvent

__all__ = ["MAPPING", "VERSION", "encode", "to_ocsf"]

VERSION = "1.8.0"
"""Version of the schema."""

MAPPING: Mapping[str, str] = {
    "kind": "class_uid",
    "event_id": "metadata.uid",
    "ts": "time",
    "outcome": "status_detail",
    "reason": "unmapped.reason",
    "verified": "unmapped.verified",
    "status": "http_response.code",
    "duration_us": "unmapped.duration_us",
    "count": "count",
    "detail": "unmapped.detail",
    "service": "service.name",
    "instance": "dst_endpoint.name",
    "method": "http_request.http_method or unmapped.method",
    "route": "unmapped.route",
    "path": "http_request.url.path",
    "token_id": "session.credential_uid",
    "token_id_prev": "unmapped.token_id_prev",
    "presented_id": "authentication_token.uid",
    "scheme": "auth_protocol",
    "token_kind": "authentication_token.type",
    "token_source": "unmapped.token_source",
    "subject_id": "user.uid",
    "client_id": "actor.app_uid",
    "issuer": "session.issuer",
    "scopes": "unmapped.scopes",
    "required_scopes": "unmapped.required_scopes",
    "expires_at": "session.expiration_time",
    "client_ip": "src_endpoint.ip or unmapped.client_ip",
    "peer_ip": "src_endpoint.proxy_endpoint.ip or src_endpoint.ip or unmapped.peer_ip",
    "user_agent": "http_request.user_agent",
    "country": "src_endpoint.location.country or unmapped.country",
    "city": "src_endpoint.location.city or unmapped.city",
    "lat": "src_endpoint.location.lat or unmapped.lat",
    "lon": "src_endpoint.location.long or unmapped.lon",
    "asn": "src_endpoint.autonomous_system.number or unmapped.asn",
    "request_id": "http_request.uid",
    "trace_id": "metadata.correlation_uid",
    "span_id": "unmapped.span_id",
    "parent_request_id": "unmapped.parent_request_id",
}
"""Where each field of an event of kind ``auth`` stands; of other kinds, what has no place is in ``unmapped``."""

_UNMAPPED = (
    "reason",
    "duration_us",
    "detail",
    "route",
    "token_id_prev",
    "token_source",
    "scopes",
    "required_scopes",
    "span_id",
    "parent_request_id",
)
_PRODUCT = {"name": "bearerwatch", "vendor_name": "bearerwatch", "version": __version__}
_METHODS = frozenset({"OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH"})
_SEVERITIES = {1: "Informational", 2: "Low", 3: "Medium"}
# outcome: status_id, severity_id, error code of RFC 6750 §3.1, event of OWASP's Application Logging Vocabulary
_OUTCOMES: dict[str | None, tuple[int, int, str | None, str | None]] = {
    Outcome.SUCCESS: (1, 1, None, "authn_login_success"),
    Outcome.ANONYMOUS: (99, 1, None, None),
    Outcome.MISSING: (2, 2, None, "authn_login_fail"),
    Outcome.MALFORMED: (2, 2, "invalid_request", "authn_login_fail"),
    Outcome.INVALID: (2, 3, "invalid_token", "authn_login_fail"),
    Outcome.EXPIRED: (2, 2, "invalid_token", "authn_login_fail"),
    Outcome.REVOKED: (2, 3, "invalid_token", "authn_token_reuse"),
    Outcome.INSUFFICIENT_SCOPE: (2, 2, "insufficient_scope", "authz_fail"),
    Outcome.FORBIDDEN: (2, 2, None, "authz_fail"),
    Outcome.THROTTLED: (2, 2, None, "excess_rate_limit_exceeded"),
    Outcome.ERROR: (2, 3, None, None),
}
_NO_OUTCOME = (0, 1, None, None)
_STATUSES = {0: "Unknown", 1: "Success", 2: "Failure", 99: "Anonymous"}
_LONGEST_ADDRESS = 40
_CREDENTIAL, _ADDRESS, _USER = 19, 2, 31  # types of observables


def to_ocsf(event: AuthEvent) -> dict[str, Any]:
    """*event* as an OCSF record: dicts, lists, strings, numbers and booleans."""
    if event.kind != Kind.AUTH:
        return _finding(event) if event.kind == Kind.LEAK else _other(event)
    status, severity, code, known_as = _OUTCOMES.get(event.outcome, _NO_OUTCOME)
    unmapped = others(event, _UNMAPPED)
    unmapped["verified"] = event.verified
    record: dict[str, Any] = {
        "activity_id": 99,
        "activity_name": "Token Validation",
        "category_uid": 3,
        "category_name": "Identity & Access Management",
        "class_uid": 3002,
        "class_name": "Authentication",
        "type_uid": 300299,
        "type_name": "Authentication: Token Validation",
        "time": int(event.ts.timestamp() * 1000),
        "severity_id": severity,
        "severity": _SEVERITIES[severity],
        "status_id": status,
        "status": _STATUSES[status],
        "message": summary(event),
        "metadata": _metadata(event, known_as),
        # The class asks for a user and a service: of a request without a token nobody knows the first.
        "user": {"name": "unknown"} if event.subject_id is None else {"uid": event.subject_id},
        "service": {"name": event.service or "unknown"},
        "unmapped": unmapped,
    }
    if event.outcome is not None:
        record["status_detail"] = event.outcome
    if code is not None:
        record["status_code"] = code
    if event.count != 1:
        record["count"] = event.count
    if event.duration_us is not None:
        record["duration"] = event.duration_us // 1000
    if event.scheme is not None:
        record["auth_protocol"] = event.scheme
        record["auth_protocol_id"] = 6 if event.scheme in ("bearer", "dpop") else 99  # 6 is OAuth 2.0
    if event.client_id is not None:
        record["actor"] = {"app_uid": event.client_id}
    if event.instance is not None:
        record["dst_endpoint"] = {"name": event.instance}
    _add_token(event, record)
    _add_http(event, record, unmapped)
    _add_source(event, record, unmapped)
    if observables := _observables(event, record):
        record["observables"] = observables
    return record


def encode(event: AuthEvent) -> bytes:
    """*event* as one OCSF record in JSON."""
    return _json.encode(to_ocsf, event)


def _metadata(event: AuthEvent, known_as: str | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "version": VERSION,
        "product": _PRODUCT,
        "uid": event.event_id,
        "log_name": "bearerwatch." + event.kind,
        "log_version": str(event.schema_version),
    }
    if known_as is not None:
        metadata["event_code"] = known_as
    # IAM classes have no profile for traces.
    correlation = event.trace_id or event.request_id
    if correlation is not None:
        metadata["correlation_uid"] = correlation
    return metadata


def _add_token(event: AuthEvent, record: dict[str, Any]) -> None:
    session: dict[str, Any] = {}
    if event.token_id is not None:
        session["credential_uid"] = event.token_id
    if event.issuer is not None:
        session["issuer"] = event.issuer
    if event.expires_at is not None:
        session["expiration_time"] = event.expires_at * 1000
    if session:
        record["session"] = session
    if event.presented_id is not None or event.token_kind is not None:
        token: dict[str, Any] = {"type_id": 99}
        if event.token_kind is not None:
            token["type"] = event.token_kind
        if event.presented_id is not None:
            token["uid"] = event.presented_id
        record["authentication_token"] = token


def _add_http(event: AuthEvent, record: dict[str, Any], unmapped: dict[str, Any]) -> None:
    request: dict[str, Any] = {}
    if event.method is not None:
        if event.method in _METHODS:
            request["http_method"] = event.method
        else:
            unmapped["method"] = event.method
    if event.path is not None:
        request["url"] = {"path": event.path}
    if event.user_agent is not None:
        request["user_agent"] = event.user_agent
    if event.request_id is not None:
        request["uid"] = event.request_id
    if request:
        record["http_request"] = request
    if event.status is not None:
        record["http_response"] = {"code": event.status}


def _add_source(event: AuthEvent, record: dict[str, Any], unmapped: dict[str, Any]) -> None:
    client, peer = event.client_ip, event.peer_ip
    if client is None or not _fits(client):  # an endpoint must be named before it can be anywhere
        unmapped.update(others(event, ("client_ip", "peer_ip", "country", "city", "lat", "lon", "asn")))
        return
    source: dict[str, Any] = {"ip": client}
    if peer is not None and peer != client:
        if _fits(peer):
            source["proxy_endpoint"] = {"ip": peer}
        else:
            unmapped["peer_ip"] = peer
    location = others(event, ("country", "city"))
    if location and on_earth(event.lat, event.lon):
        location["lat"], location["long"] = event.lat, event.lon
    elif event.lat is not None or event.lon is not None:
        unmapped.update(others(event, ("lat", "lon")))
    if location:
        source["location"] = location
    if event.asn is not None:
        source["autonomous_system"] = {"number": event.asn}
    record["src_endpoint"] = source


def _fits(address: str) -> bool:
    return len(address) <= _LONGEST_ADDRESS and is_address(address)


def _observables(event: AuthEvent, record: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if event.token_id is not None:
        found.append({"name": "session.credential_uid", "type_id": _CREDENTIAL, "value": event.token_id})
    source = record.get("src_endpoint")
    if source is not None:
        found.append({"name": "src_endpoint.ip", "type_id": _ADDRESS, "value": source["ip"]})
    if event.subject_id is not None:
        found.append({"name": "user.uid", "type_id": _USER, "value": event.subject_id})
    return found


def _rest(event: AuthEvent) -> dict[str, Any]:
    """Every field that is known, but those that every record has a place for."""
    told = ("kind", "event_id", "ts", "count", "verified")
    rest = others(event, tuple(name for name in event.__struct_fields__ if name not in told))
    if event.verified:
        rest["verified"] = True
    return rest


def _finding(event: AuthEvent) -> dict[str, Any]:
    """A token that somebody tried to log: found by a rule, kept out, to be mended in the code that ``detail`` names."""
    where = event.detail or "unknown"
    record: dict[str, Any] = {
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200401,
        "type_name": "Detection Finding: Create",
        "time": int(event.ts.timestamp() * 1000),
        "severity_id": 2,
        "severity": "Low",
        "status_id": 1,
        "status": "New",
        "message": summary(event),
        "metadata": _metadata(event, "sensitive_data_in_log"),
        "finding_info": {
            "uid": event.event_id,
            "title": "A token was about to be logged",
            "desc": f"Redaction kept it out. The line of code that tried: {where}",
            "types": ["Sensitive data in a log"],
            "analytic": {"type_id": 1, "type": "Rule", "name": "redaction", "uid": event.reason or "live"},
        },
        "is_alert": False,
        "evidences": [{"data": {"at": where}}],
        "unmapped": _rest(event),
    }
    if event.count != 1:
        record["count"] = event.count
    if event.token_id is not None:
        record["observables"] = [{"name": "unmapped.token_id", "type_id": _CREDENTIAL, "value": event.token_id}]
    return record


def _other(event: AuthEvent) -> dict[str, Any]:
    record: dict[str, Any] = {
        "activity_id": 99,
        "activity_name": str(event.kind),
        "category_uid": 0,
        "category_name": "Uncategorized",
        "class_uid": 0,
        "class_name": "Base Event",
        "type_uid": 99,
        "type_name": "Base Event: Other",
        "time": int(event.ts.timestamp() * 1000),
        "severity_id": 1,
        "severity": "Informational",
        "message": summary(event),
        "metadata": _metadata(event, None),
        "unmapped": _rest(event),
    }
    if event.count != 1:
        record["count"] = event.count
    return record

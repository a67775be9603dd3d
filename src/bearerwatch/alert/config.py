"""Which channels there are: ``[[channel]]`` tables of a TOML file, and shortcuts in the environment.

```toml
[[channel]]
type = "webhook"
url = "https://hooks.example.org/bearerwatch"
secret_env = "HOOK_SECRET"
min_level = "medium"
rules = ["token_*"]

[[channel]]
type = "apprise"
url_env = "PAGERDUTY_URL"
min_level = "high"
```

Shortcuts: ``BEARERWATCH_WEBHOOK_URL`` with ``BEARERWATCH_WEBHOOK_SECRET``, and ``BEARERWATCH_APPRISE_URLS``
(apart by white space). With no ``[[channel]]`` at all, notices also go to the console.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from bearerwatch import _units
from bearerwatch.alert.channel import Channel
from bearerwatch.alert.escape import printable
from bearerwatch.alert.notice import LEVELS, level_rank
from bearerwatch.alert.options import Options
from bearerwatch.alert.secret import Secret
from bearerwatch.errors import ConfigurationError

__all__ = ["Route", "load_routes"]

_CHANNELS = "bearerwatch.alert.channels"
_MAX_FILE = 1024 * 1024


class Route:
    """One channel and what it wants to hear.

    Args:
        channel: where notices go.
        min_level: the lowest level that is sent.
        rules: rule ids, with ``*`` and ``?``; none means all.
    """

    def __init__(self, channel: Channel, *, min_level: str = "informational", rules: tuple[str, ...] = ()) -> None:
        self.channel = channel
        self.min_level = min_level
        self.rules = rules

    def wants(self, rule: str, level: str) -> bool:
        """Whether notices of *rule* at *level* go here."""
        if level_rank(level) < level_rank(self.min_level):
            return False
        return not self.rules or any(fnmatchcase(rule, pattern) for pattern in self.rules)


def load_routes(
    path: Path | None = None, env: Mapping[str, str] | None = None, *, storage: Path | None = None
) -> list[Route]:
    """The routes *path* and the environment describe, in that order.

    Args:
        path: a TOML file; ``None`` for the environment alone.
        env: the environment, ``os.environ`` if not given.
        storage: a folder channels may keep data in.

    Raises:
        ConfigurationError: the file cannot be read, or a channel cannot be set up. The message names the
            file and key and says how to mend it; it holds no secret.
    """
    env = os.environ if env is None else env
    tables = [] if path is None else _tables(path)
    routes: list[Route] = []
    seen: set[str] = set()
    described: list[_Described] = []
    for place, table in enumerate(tables, 1):
        kind = table.get("type")
        label = f"{path}: channel {place}" + (f" ({kind})" if isinstance(kind, str) and kind.isidentifier() else "")
        name = table.get("name", kind)
        if not isinstance(name, str) or not name or not name.replace("-", "").replace("_", "").isalnum():
            raise ConfigurationError(f"{label}: name must be letters, digits, '-' and '_' in quotes")
        described.append(_Described(table, label, name, {}))
    described += _shortcuts(env)
    if not tables:
        described.insert(0, _Described({"type": "console"}, "console", "console", {}))
    folder = Path() if path is None else path.parent
    for entry, where, name, secrets in described:
        # Rows of the outbox name their channel, so two of one type must not trade places unnoticed.
        if name in seen:
            raise ConfigurationError(
                f'{where}: two channels are called {name!r}: give each a name of its own, such as name = "{name}-2"'
            )
        seen.add(name)
        options = Options(entry, where=where, name=name, env=env, folder=folder, storage=storage, secrets=secrets)
        routes.append(_route(options))
    return routes


class _Described(NamedTuple):
    table: Mapping[str, Any]
    where: str
    name: str
    secrets: Mapping[str, Secret]


def _shortcuts(env: Mapping[str, str]) -> list[_Described]:
    found: list[_Described] = []
    if env.get("BEARERWATCH_WEBHOOK_URL", "").strip():
        where = "BEARERWATCH_WEBHOOK_URL"
        if not env.get("BEARERWATCH_WEBHOOK_SECRET", "").strip():
            raise ConfigurationError(
                f"{where} is set and BEARERWATCH_WEBHOOK_SECRET is not: set it to the output of 'bearerwatch key "
                "webhook', here and at the receiver. For one that checks no signature, write a [[channel]] with "
                "unsigned = true"
            )
        table = {"type": "webhook", "url_env": where, "secret_env": "BEARERWATCH_WEBHOOK_SECRET"}
        found.append(_Described(table, where, "env-webhook", {}))
    urls = env.get("BEARERWATCH_APPRISE_URLS", "").split()
    for place, url in enumerate(urls, 1):
        where = "BEARERWATCH_APPRISE_URLS" + (f", URL {place} of {len(urls)}" if len(urls) > 1 else "")
        secrets = {"url": Secret(url, where)}
        found.append(_Described({"type": "apprise"}, where, f"env-apprise-{place}", secrets))
    return found


def _route(options: Options) -> Route:
    kind = options.text("type")
    options.has("name")
    there = ", ".join(_units.names(_CHANNELS))
    if kind is None:
        raise options.error(f'no type: say type = "..."; there are: {there}')
    try:
        unit = _units.load(_CHANNELS, kind)
    except LookupError:
        raise options.error(f"no such type; there are: {there}") from None
    except ImportError as error:
        raise options.error(f"its library {error.name} is not installed: pip install 'bearerwatch[server]'") from None
    min_level = options.text("min_level", "informational") or "informational"
    if min_level not in LEVELS:
        raise options.error(f"min_level must be one of {', '.join(LEVELS)}")
    rules = tuple(options.texts("rules"))
    channel: Channel = unit.Channel(options)
    options.finish()
    return Route(channel, min_level=min_level, rules=rules)


def _tables(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_FILE + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}): mend its path or mode") from None
    if len(content) > _MAX_FILE:
        raise ConfigurationError(f"{path} is larger than 1 MiB: that is no configuration file")
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8: save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        # Its text gives the place and the kind of mistake, and not the line.
        raise ConfigurationError(f"{path} is not TOML: {printable(error)}") from None
    unknown = sorted(set(document) - {"channel"})
    if unknown:
        raise ConfigurationError(
            f"{path}: unknown key {printable(unknown[0])!r}; channels are written as [[channel]] tables"
        )
    tables = document.get("channel", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"{path}: channel must be written [[channel]], with two brackets")
    return tables

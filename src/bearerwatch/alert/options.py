"""One ``[[channel]]`` table of the configuration, read key by key.

Secrets come from the environment (``<key>_env``) or a file (``<key>_file``), never from the table itself:
configuration files are committed, copied and mailed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bearerwatch.alert.secret import Secret
from bearerwatch.errors import ConfigurationError

__all__ = ["Options"]

_MAX_FILE = 64 * 1024


class Options:
    """The settings of one channel, and the words for what is wrong with them.

    Args:
        table: the keys as written.
        where: how messages name the table, such as ``bearerwatch.toml: channel 2 (webhook)``.
        name: what the channel is called in the outbox; stable across restarts.
        env: the environment secrets are looked up in.
        folder: what relative file names are relative to.
        storage: a folder the channel may keep data in; ``None`` for memory alone.
        secrets: secrets already at hand, by key.
    """

    def __init__(
        self,
        table: Mapping[str, Any],
        *,
        where: str,
        name: str,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
        storage: Path | None = None,
        secrets: Mapping[str, Secret] | None = None,
    ) -> None:
        self._table = dict(table)
        self._read: set[str] = set()
        self._env = os.environ if env is None else env
        self._folder = Path() if folder is None else folder
        self._secrets = secrets or {}
        self.storage = storage
        self.where = where
        self.name = name

    def error(self, problem: str) -> ConfigurationError:
        """*problem* said of this table. It must not quote a value that may be secret."""
        return ConfigurationError(f"{self.where}: {problem}")

    def has(self, key: str) -> bool:
        """Whether *key* is given."""
        self._read.add(key)
        return key in self._table

    def text(self, key: str, default: str | None = None) -> str | None:
        """The string under *key*."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{key} must be a non-empty string in quotes")
        return value.strip()

    def texts(self, key: str) -> list[str]:
        """The list of strings under *key*; a single string counts as a list of one."""
        value = self._get(key)
        if value is None:
            return []
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(item, str) and item.strip() for item in values):
            raise self.error(f'{key} must be a list of strings, such as {key} = ["token_*"]')
        return [item.strip() for item in values]

    def number(self, key: str, default: float, *, low: float, high: float) -> float:
        """The number under *key*, between *low* and *high*."""
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(f"{key} must be a number from {low:g} to {high:g}")
        if not low <= value <= high:
            raise self.error(f"{key} = {value:g} is out of range: give a number from {low:g} to {high:g}")
        return float(value)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """The truth value under *key*."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(f"{key} must be true or false, without quotes")
        return value

    def secret(self, key: str) -> Secret | None:
        """The secret named by ``<key>_env`` or kept in ``<key>_file``.

        Raises:
            ConfigurationError: it stands in the table itself, both ways are given, or there is none there.
        """
        if key in self._table:
            raise self.error(
                f"{key} must not stand in the file: put it into an environment variable and name that "
                f'({key}_env = "NAME"), or into a file of mode 0600 ({key}_file = "path")'
            )
        variable, file = self.text(f"{key}_env"), self.text(f"{key}_file")
        if key in self._secrets:
            return self._secrets[key]
        if variable is not None and file is not None:
            raise self.error(f"both {key}_env and {key}_file are given: keep one")
        if variable is not None:
            value = self._env.get(variable, "").strip()
            if not value:
                raise self.error(f"{key}_env names the environment variable {variable}, which is not set: set it")
            return Secret(value, f"env {variable}")
        if file is not None:
            return Secret(self._file(key, file), f"file {file}")
        return None

    def finish(self) -> None:
        """Refuse keys nobody asked for: a misspelt ``min_levle`` must not pass for a default.

        Raises:
            ConfigurationError: it names the key and those that are known here.
        """
        unknown = sorted(set(self._table) - self._read)
        if unknown:
            known = ", ".join(sorted(self._read))
            raise self.error(f"unknown key {unknown[0]!r}; known here: {known}")

    def _get(self, key: str) -> Any:
        self._read.add(key)
        return self._table.get(key)

    def _file(self, key: str, file: str) -> str:
        path = self._folder / Path(file).expanduser()
        try:
            with path.open("rb") as stream:
                content = stream.read(_MAX_FILE + 1)
        except OSError as error:
            raise self.error(f"{key}_file {path} cannot be read ({error.strerror}): mend its path or mode") from None
        try:
            value = content.decode("utf-8").strip()
        except UnicodeDecodeError:
            value = ""
        if not value or len(content) > _MAX_FILE:
            raise self.error(f"{key}_file {path} holds no usable text: write the secret into it as one line of UTF-8")
        return value

"""Where the demonstration keeps what it makes, and where it finds the samples."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bearerwatch.errors import ConfigurationError

__all__ = ["Layout", "samples_dir"]

_MARK = ".bearerwatch-demo"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of one run, made anew."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> Layout:
        """Empty *root*, or make it.

        Raises:
            ConfigurationError: *root* holds something that no demonstration put there, or cannot be written.
        """
        root = root.resolve()
        if root.exists() and not (root / _MARK).exists() and (not root.is_dir() or any(root.iterdir())):
            raise ConfigurationError(
                f"{root} was not made by this demonstration: name an empty or new folder with --out"
            )
        layout = cls(root)
        try:
            shutil.rmtree(root, ignore_errors=True)
            for folder in (root, layout.logs, layout.data, layout.state, layout.gateway, layout.broker):
                folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            (root / _MARK).touch()
        except OSError as error:
            raise ConfigurationError(
                f"{root} cannot be written ({error.strerror}): name another folder with --out"
            ) from error
        return layout

    @property
    def state(self) -> Path:
        """State folder of the collector, spool included."""
        return self.root / "state"

    @property
    def logs(self) -> Path:
        """What each process printed."""
        return self.root / "logs"

    @property
    def data(self) -> Path:
        """The samples' own databases: their credential stores are in them."""
        return self.root / "data"

    @property
    def gateway(self) -> Path:
        """The configuration of nginx, and its access log."""
        return self.root / "gateway"

    @property
    def broker(self) -> Path:
        """Valkey's configuration, and whatever was ever written to it."""
        return self.root / "broker"

    @property
    def plants(self) -> Path:
        """Tokens planted to test the sweep's eyesight."""
        return self.root / "planted"

    @property
    def client_log(self) -> Path:
        """One line per request, as the client saw it."""
        return self.root / "client.jsonl"

    @property
    def webhooks(self) -> Path:
        """One line per webhook received."""
        return self.root / "webhooks.jsonl"

    @property
    def terminal(self) -> Path:
        """What was shown on the terminal."""
        return self.root / "terminal.txt"


def samples_dir() -> Path:
    """The samples: beside this module in an installed package, at the top of a source tree.

    Raises:
        ConfigurationError: they are in neither place.
    """
    here = Path(__file__).resolve()
    for folder in (here.parent / "samples", here.parents[3] / "samples"):
        if (folder / "shop" / "seed.py").is_file():
            return folder
    raise ConfigurationError("the samples are not installed: pip install 'bearerwatch[demo]'")

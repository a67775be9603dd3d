"""The few exceptions callers catch; everything else is a builtin."""

from __future__ import annotations

__all__ = ["BearerwatchError", "ConfigurationError", "DidNotEnable", "RuleError"]


class BearerwatchError(Exception):
    """Base of every error bearerwatch raises on purpose. Messages never contain a token."""


class ConfigurationError(BearerwatchError):
    """A setting is wrong. The message names the setting and says how to mend it."""


class DidNotEnable(BearerwatchError):  # noqa: N818 - reads as the sentence it is, as in sentry-sdk
    """An integration cannot run here because its library is not installed."""


class RuleError(BearerwatchError):
    """A detection rule cannot be read. The message begins with ``file:line``."""

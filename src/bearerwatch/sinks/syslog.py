"""Events as syslog messages (RFC 5424), to this host's daemon or to a receiver elsewhere.

``BEARERWATCH_SYSLOG`` says where: ``syslog+unix:///dev/log``, which is the default, or ``syslog+udp``, ``syslog+tcp``
or ``syslog+tls`` and ``://host:port``. A thread delivers them, see :class:`~bearerwatch.sinks._courier.Courier`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bearerwatch.errors import ConfigurationError
from bearerwatch.sinks._courier import Courier
from bearerwatch.sinks._destination import Destination, destination
from bearerwatch.sinks._wire import Wire

if TYPE_CHECKING:
    from bearerwatch.event import AuthEvent
    from bearerwatch.settings import Settings

__all__ = ["SyslogSink", "open_sink"]


class SyslogSink:
    """Sends each event as one message.

    Args:
        to: the receiver.
    """

    def __init__(self, to: Destination) -> None:
        self._encode = to.encode
        self._wire = Wire(to)
        self._courier = Courier("syslog", self._deliver, forked=self._wire.close)
        self.send = self._courier.send

    @property
    def dropped(self) -> int:
        """Events lost so far."""
        return self._courier.dropped

    def _deliver(self, events: list[AuthEvent]) -> int:
        messages = [self._encode(event) for event in events]
        try:
            return self._wire.write(messages)
        finally:
            del events[: len(events) - len(messages)]

    def close(self) -> None:
        """Deliver what is left, and hang up."""
        self._courier.close()
        self._wire.close()


def open_sink(settings: Settings) -> SyslogSink:
    """The sink ``syslog``. Nothing is connected yet.

    Raises:
        ConfigurationError: the setting ``syslog`` names no receiver.
    """
    try:
        return SyslogSink(destination(settings.syslog))
    except ValueError as error:
        raise ConfigurationError(f"syslog (BEARERWATCH_SYSLOG): {error}") from None

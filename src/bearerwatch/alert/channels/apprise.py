"""Anything Apprise addresses: Slack, Teams, PagerDuty, Opsgenie, mail, ntfy and a hundred and some more.

https://appriseit.com/services/ lists the URLs. They hold credentials, so they come from the environment or a
file, and Apprise's own logger, which prints them in some of its warnings, is kept silent.
"""

from __future__ import annotations

import copy
import logging
from typing import Any

import apprise
from apprise import plugins
from apprise.manager_plugins import NotificationManager

from bearerwatch.alert.channel import DeliveryError
from bearerwatch.alert.escape import plain
from bearerwatch.alert.notice import Notice, level_rank
from bearerwatch.alert.options import Options

__all__ = ["Channel"]

_MEMORY = apprise.PersistentStoreMode.MEMORY
_DISK = apprise.PersistentStoreMode.FLUSH
_INCIDENT_KEYS = ("dedup", "alias", "entity_id")
"""What services that join notices into one incident call its key (PagerDuty; Opsgenie, Jira; Splunk)."""


class Channel:
    """Sends notices to one Apprise URL.

    Options:
        ``url_env`` or ``url_file``: the Apprise URL; ``timeout``: seconds for one try (20).

    Where the service can, opening and closing carry the same key and the closing notice resolves the
    incident: ``dedup`` of PagerDuty and others, ``alias`` of Opsgenie. What the URL itself sets wins.

    Raises:
        ConfigurationError: there is no URL, or Apprise does not understand it.
    """

    def __init__(self, options: Options) -> None:
        self.name = options.name
        _silence()
        address = options.secret("url")
        if address is None:
            raise options.error(
                "no url: put the Apprise URL into an environment variable and name that "
                '(url_env = "NAME"); https://appriseit.com/services/ lists them'
            )
        self._timeout = options.number("timeout", 20.0, low=0.5, high=120.0)
        self._asset = apprise.AppriseAsset(
            app_id="bearerwatch",
            app_desc="bearerwatch alerts",
            app_url="",
            # Some services (Opsgenie, Jira) close an incident by a request id they gave when it opened.
            storage_path=None if options.storage is None else str(options.storage / "apprise"),
            storage_mode=_MEMORY if options.storage is None else _DISK,
            service_timeout=self._timeout,
            http_redirects=False,
            secure_logging=True,
        )
        url = address.reveal()
        if len(url.split()) != 1:
            raise options.error(f"{address.source} holds more than one URL: give each its own [[channel]]")
        parsed = apprise.Apprise.instantiate(url, asset=self._asset)
        if parsed is None:
            raise options.error(
                f"{address.source} is no URL that Apprise understands: compare it with "
                "https://appriseit.com/services/ (it is not shown here because it holds credentials)"
            )
        self._parsed: dict[str, Any] = plugins.url_to_dict(url)  # type: ignore[no-untyped-call]
        self._schema = str(self._parsed["schema"])

    def deliver(self, notice: Notice) -> None:
        """Send *notice*.

        Raises:
            DeliveryError: the service did not take it. Apprise tells no reason apart, so it is tried again.
        """
        opened = notice.transition == "opened"
        if not opened:
            kind = apprise.NotifyType.SUCCESS
        elif level_rank(notice.level) >= level_rank("high"):
            kind = apprise.NotifyType.FAILURE
        else:
            kind = apprise.NotifyType.WARNING
        service = apprise.Apprise.instantiate(self._for(notice), asset=self._asset)
        if service is None:
            raise DeliveryError(f"Apprise could not set up {self._schema}", retry=True)
        title, _, body = plain(notice.text()).partition("\n")
        sender = apprise.Apprise(asset=self._asset)
        sender.add(service)
        result = sender.notify(
            body=body.strip("\n"),
            title=title,
            notify_type=kind,
            body_format=apprise.NotifyFormat.TEXT,
            timeout=self._timeout,
        )
        if not result:
            status = getattr(getattr(result, "status", None), "name", "FAILURE").lower()
            raise DeliveryError(f"the {self._schema} service did not take it ({status})", retry=True)

    def close(self) -> None:
        """Nothing is held between tries."""

    def _for(self, notice: Notice) -> dict[str, Any]:
        """The service's arguments with this episode's key in them."""
        # Instantiating takes the dictionary apart, so each try gets its own.
        arguments = copy.deepcopy(self._parsed)
        accepted = NotificationManager()[self._schema].template_args  # type: ignore[no-untyped-call]
        for name in _INCIDENT_KEYS:
            if name in accepted:
                target = accepted[name].get("alias_of", name)
                if not arguments.get(target) and not arguments.get(name):
                    arguments[target] = notice.episode_id
        if not arguments.get("action") and "map" in accepted.get("action", {}).get("values", ()):
            arguments["action"] = "map"
        return arguments


def _silence() -> None:
    """Keep URLs out of every log: Apprise prints them at several levels, its HTTP client at DEBUG."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    client = logging.getLogger("urllib3")
    if client.level < logging.INFO:
        client.setLevel(logging.INFO)

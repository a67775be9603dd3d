"""The Django app: redaction of logs and of exception reports from the start, and system checks."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["BearerwatchConfig"]


class BearerwatchConfig(AppConfig):  # type: ignore[misc]
    """Registers the checks and installs redaction as soon as Django is set up."""

    name = "bearerwatch.django"
    label = "bearerwatch"
    verbose_name = "bearerwatch"

    def ready(self) -> None:
        """Called by Django once every app is loaded."""
        from django.core import checks  # noqa: PLC0415 - needs a configured Django

        from bearerwatch.django.checks import check_setup  # noqa: PLC0415
        from bearerwatch.errors import ConfigurationError  # noqa: PLC0415
        from bearerwatch.integrations._process import begin_by  # noqa: PLC0415
        from bearerwatch.integrations.django import configured, the_watch  # noqa: PLC0415
        from bearerwatch.integrations.libraries import watch_imports  # noqa: PLC0415
        from bearerwatch.redact.logging import install_logging  # noqa: PLC0415
        from bearerwatch.settings import Settings  # noqa: PLC0415

        checks.register(check_setup, checks.Tags.security)
        begin_by(the_watch)
        watch_imports()
        try:
            settings = Settings.from_env(**configured())
            redact, log_ids = settings.redact_logs, settings.log_ids
        except ConfigurationError:
            redact, log_ids = True, True  # the check says what is wrong
        if redact or log_ids is not False:
            install_logging(redact=redact, log_ids=log_ids)
        if redact:
            from bearerwatch.django.reports import install_reports  # noqa: PLC0415

            install_reports()

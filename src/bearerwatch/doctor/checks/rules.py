"""Detection rules: each can be read."""

from __future__ import annotations

from bearerwatch.alert.notice import counted
from bearerwatch.doctor.model import Report, Site, finding
from bearerwatch.errors import ConfigurationError, RuleError

__all__ = ["NAME", "ORDER", "look"]

NAME = "rules"
ORDER = 90


def look(site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    from bearerwatch.detect.exceptions import expired  # noqa: PLC0415 - needs the server extra
    from bearerwatch.detect.rulebook import load_rules  # noqa: PLC0415

    try:
        rules = load_rules(site.rules)
    except RuleError as caught:
        for problem in str(caught).splitlines():
            report(finding("E050", problem, "Mend the rule, and try it with 'bearerwatch rules test'."))
        return "the collector would not start with these rules"
    except ConfigurationError as caught:
        report(finding("E051", f"{caught}", "Name a folder that exists with --rules or BEARERWATCH_RULES."))
        return "the collector would not start with these rules"
    for said in expired(rules, site.now):
        report(finding("W052", said, "Renew it, or remove it with 'bearerwatch rules except --remove NAME'."))
    return counted(len(rules), "rule") + (f", with those of {site.rules}" if site.rules else "")

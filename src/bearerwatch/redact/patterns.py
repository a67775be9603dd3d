"""What a token in text looks like: data, one entry a form, each with its source.

An entry is tried only where one of its *anchors* occurs, so a clean line costs a few substring searches.
Anchors are lower case; ``pattern`` is matched where the anchor begins and its group ``t`` is the token.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

__all__ = ["FORMS", "Form"]

# token68 (RFC 9110 §11.2) and what percent-encoding adds to it
_T68 = r"[A-Za-z0-9._~+/=%-]"
_OURS = r"(?!k[0-9a-f]{8}:[0-9a-f]{32})"
# A parameter of a challenge, as in `Bearer realm="x"`, is no credential (RFC 6750 §3)
_PARAMETER = r"[A-Za-z_-]++=++\.*+[A-Za-z0-9_~+/%-]"
# Between a key and its value: quotes and escapes, a separator, an opening bracket, a bytes or str prefix.
_SEP = r"""[\\"']{0,4}\s{0,4}(?::|=>|=|,|%3[AaDd])\s{0,4}[\[({]?\s{0,2}[\\]{0,3}(?:[bru](?=[\\"']))?[\\"']{0,4}"""
# A word before the credential is a scheme only if it is known, or letters alone: else it is a piece of it
_SCHEME = (
    r"(?i:apikey|aws4-hmac-sha256|basic|bearer|digest|dpop|hawk|jwt|negotiate|ntlm|oauth|scram-sha-(?:1|256)|token)"
)
_GAP = r"(?:\s|%20|\+|\\t){1,8}[\\\"']{0,2}"
_ALREADY = r"(?:\[token |k[0-9a-f]{8}:[0-9a-f]{32})"
# A scheme and its first parameter, as Digest has them; a token may stand before such a thing as well
_CHALLENGE = rf"(?:{_SCHEME}|[A-Za-z][A-Za-z-]{{0,20}}){_GAP}{_PARAMETER}"


class Form(NamedTuple):
    """One way tokens are written."""

    id: str
    anchors: tuple[str, ...]
    regex: str
    check: str
    """Which validator the token has to pass: see ``redact.engine``."""
    source: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """The compiled *regex*; compiled when first needed, for importing the app side has to be quick."""
        return _compiled(self.regex)


@cache
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex)


def _form(form_id: str, anchors: str, pattern: str, check: str, source: str) -> Form:
    return Form(form_id, tuple(anchors.split()), pattern, check, source)


FORMS: tuple[Form, ...] = (
    _form(
        "jwt",
        "eyj",
        r"(?P<t>eyJ[A-Za-z0-9_-]{6,}+(?:\.[A-Za-z0-9_-]*+){1,4}+)",
        "jose",
        "RFC 7515 §7.1, RFC 7516 §7.1",
    ),
    _form(
        "paseto",
        ".local. .public.",
        r"(?P<t>\.(?:local|public)\.[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]+)?)",
        "paseto",
        "https://github.com/paseto-standard/paseto-spec",
    ),
    _form(
        "authorization",
        "authorization",
        rf"(?i:authorization)(?>{_SEP})(?:{_SCHEME}{_GAP}|[A-Za-z][A-Za-z-]{{2,15}}\s{{1,8}})?{_OURS}(?!{_PARAMETER}|{_CHALLENGE})"
        rf"(?P<t>{_T68}++)(?!{_GAP}{_ALREADY})",
        "credential",
        "RFC 9110 §11.6.2; also CGI's HTTP_AUTHORIZATION (RFC 3875 §4.1.18)",
    ),
    _form(
        "bearer",
        "bearer dpop",
        rf"(?i:bearer|dpop){_GAP}{_OURS}(?!{_PARAMETER})(?P<t>{_T68}{{6,}}+)",
        "strong",
        "RFC 6750 §2.1, RFC 9449 §7.1",
    ),
    _form(
        "scheme",
        "token jwt basic",
        rf"(?i:token|jwt|basic){_GAP}{_OURS}(?!{_PARAMETER})(?P<t>{_T68}{{16,}}+)",
        "weak",
        "RFC 7617; schemes of Django REST framework",
    ),
    _form(
        "key",
        "token secret passw jwt apikey api_key api-key",
        rf"(?i:token|secret(?:_?key)?|passw(?:or)?d|jwt|api[_-]?key){_SEP}(?:(?i:bearer|token|jwt){_GAP})?{_OURS}(?P<t>{_T68}{{6,}})",
        "keyed",
        "RFC 6749 §5.1, RFC 6750 §2.2 and §2.3; header names X-Api-Key, X-Auth-Token",
    ),
    _form(
        "github",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        r"(?P<t>(?:gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}))",
        "always",
        "https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github",
    ),
    _form(
        "gitlab",
        "glpat-",
        r"(?P<t>glpat-[A-Za-z0-9_-]{20,})",
        "always",
        "https://docs.gitlab.com/security/tokens/#token-prefixes",
    ),
    _form(
        "slack",
        "xoxb- xoxp- xoxa- xoxr-",
        r"(?P<t>xox[abpr]-[A-Za-z0-9-]{10,})",
        "always",
        "https://docs.slack.dev/authentication/tokens",
    ),
    _form(
        "stripe",
        "k_live_ k_test_",
        r"(?P<t>k_(?:live|test)_[A-Za-z0-9]{16,})",
        "stripe",
        "https://docs.stripe.com/keys",
    ),
    _form(
        "pypi",
        "pypi-ageich",
        r"(?P<t>pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,})",
        "always",
        "https://docs.pypi.org/api/secrets/",
    ),
    _form("npm", "npm_", r"(?P<t>npm_[A-Za-z0-9]{36})", "always", "https://docs.npmjs.com/about-access-tokens"),
    _form(
        "google",
        "ya29.",
        r"(?P<t>ya29\.[A-Za-z0-9_-]{20,})",
        "always",
        "https://cloud.google.com/docs/authentication/token-types",
    ),
)
"""Every form, in the order in which they are tried. A longer match over the same text wins."""

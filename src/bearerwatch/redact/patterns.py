"""What a token in text looks like: data, one entry a form, each with its source.

An entry is tried only where one of its *anchors* occurs, so a clean line costs a few substring searches.
Anchors are lower case; ``pattern`` is matched where the anchor begins and its group ``t`` is the token.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from bearerwatch.redact.named import (
    CLOSED,
    GAP,
    NAME_ITSELF,
    NAMED,
    NAMED_PARTS,
    NUMBERED,
    OURS,
    PARAMETER,
    PLAIN,
    QUOTED,
    UNQUOTED,
    VALUE,
)
from bearerwatch.redact.providers import PROVIDERS

__all__ = ["FORMS", "LONG", "Form"]

LONG = frozenset(anchor for provider in PROVIDERS for anchor in provider.anchors) | {
    "hooks.slack.com/",
    "/api/webhooks/",
    ".webhook.office.com/",
    "api.telegram.org/",
    *("/reset", "/password-reset", "/verify", "/confirm", "/activate", "/invit", "/magic"),
}
"""Anchors of tokens that have twenty characters of base64url in a row at least, these included."""

# token68 (RFC 9110 §11.2)
_T68 = r"[A-Za-z0-9._~+/=-]"
_TOKEN68 = r"[A-Za-z0-9._~+/-]"
# A word before the credential is a scheme only if it is known, or letters alone: else it is a piece of it
_SCHEME = (
    r"(?i:apikey|aws4-hmac-sha256|basic|bearer|digest|dpop|hawk|jwt|negotiate|ntlm|oauth|scram-sha-(?:1|256)|token)"
)
_SCHEMED = rf"(?:(?i:bearer|token|jwt|dpop){GAP})?{OURS}(?!{PARAMETER})"
_NAME = rf"{NAME_ITSELF}{NAMED}{_SCHEMED}"
_ALREADY = r"(?:[^\S\r\n]|%20|\+|\\t){1,24}[\\\"'`<{(\[]{0,2}(?:\[token |k[0-9a-f]{8}:[0-9a-f]{32}(?![A-Za-z0-9]))"
# A scheme and its first parameter, as Digest has them; a token may stand before such a thing as well
_CHALLENGE = rf"(?:{_SCHEME}|[A-Za-z][A-Za-z-]{{0,20}}){GAP}{PARAMETER}"


_BEARER = (
    rf"{GAP}(?:-a )?|[\\\"']{{1,2}},\s?[\"']\s[\"'],\s?[\"']|\s?[\"'`]\s?(?:\+|\.{{1,2}}|&|,)\s?[\"'`]"
    r"|[\"']?,?\s(?:param(?:s|eter)?|credentials?|value)\s?=\s?[\"']?"
)
"""Between the scheme and its credential; a string may end and another one begin there."""
_BEARER_FIELD = r"(?:[\\\"']{0,2}\s?[=:,]\s?[\\\"']{0,2}|[<({\[])"
"""The same where the scheme is more of a name."""
_LED = (
    r"(?:api|access|secret|signing|encryption|private|token|license|master|root|recovery|encrypt) key|client secret"
    r"|(?:access|refresh|auth) token"
)
_SESSION_ID = r"session(?:[ .]id|[\"']?\s?[:=]\s?{\s?[\"']?id[\"']?)"
_SAID = r"(?:\s?[:=]\s?|\s(?:is\s)?)[\"'`]?"


class Form(NamedTuple):
    """One way tokens are written."""

    id: str
    anchors: tuple[str, ...]
    regex: str
    check: str
    """Which validator the token has to pass: see :mod:`bearerwatch.redact.checks`."""
    source: str
    followers: str = ""
    """Of ASCII, what can follow its anchors at once; anything if it is empty."""
    wider: tuple[str, ...] = ()
    """Instead of *regex*, for a gate: what together matches wherever that does. Of ``named`` what follows the name."""

    @property
    def pattern(self) -> re.Pattern[str]:
        """The compiled *regex*; compiled when first needed, for importing the app side has to be quick."""
        return _compiled(self.regex)


@cache
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex)


def _form(form_id: str, anchors: str, pattern: str, check: str, source: str) -> Form:
    return Form(form_id, tuple(anchor.replace("·", " ") for anchor in anchors.split()), pattern, check, source)


_GAPS = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f%+\\"
"""What a gap begins with, in ASCII."""

_NAMED_FORMS: tuple[Form, ...] = (
    _form(
        "jwt",
        "eyj eyai eyag ewog ew0k ewkj",
        r"(?P<t>(?:eyJ|eyAi|eyAg|ewog|ew0K|ewkJ)[A-Za-z0-9_-]{5,}+(?:\.[A-Za-z0-9_-]*+){1,4}+(?:~[A-Za-z0-9_.-]*+){0,64})",
        "jose",
        "RFC 7515 §7.1, RFC 7516 §7.1; what follows a tilde is SD-JWT's, RFC 9901 §4",
    ),
    _form(
        "claims",
        "eyj",
        r"(?P<t>eyJ[A-Za-z0-9_-]{24,}+)(?![.])",
        "claims",
        "RFC 7519 §4.1: the claims of a JWT without its other parts",
    ),
    _form(
        "authorization",
        "authorization",
        rf"(?i:authorization)(?>{NAMED})(?:{_SCHEME}{GAP}|(?P<s>[A-Za-z][A-Za-z0-9-]{{2,15}})\s{{1,24}})?"
        rf"{OURS}(?!{PARAMETER}|{_CHALLENGE})"
        rf"(?P<t>{NUMBERED}{_T68}++)(?!{_ALREADY})",
        "credential",
        "RFC 9110 §11.6.2; also CGI's HTTP_AUTHORIZATION (RFC 3875 §4.1.18)",
    )._replace(
        wider=tuple(rf"(?i:authorization){part}{_T68}" for part in NAMED_PARTS)
    ),  # schemes are made of the same characters
    _form(
        "bearer",
        "bearer dpop",
        rf"(?i:bearer|dpop)(?:{_BEARER}|{_BEARER_FIELD}(?={_T68}{{16}})){OURS}(?!{PARAMETER})"
        rf"(?P<t>{NUMBERED}{_TOKEN68}{{6,}}+={{0,4}})",
        "strong",
        "RFC 6750 §2.1, RFC 9449 §7.1",
    )._replace(
        followers=_GAPS + "\"'`=:,<({[",
        wider=(
            rf"(?i:bearer|dpop)(?:{_BEARER})(?P<t>{NUMBERED}{_TOKEN68}{{6,}}+)",
            rf"(?i:bearer|dpop){_BEARER_FIELD}{_T68}{{16}}",
            rf"(?i:bearer|dpop)(?:{_BEARER}){_TOKEN68}{{12,2048}}=",  # which is long only with what pads it
        ),
    ),
    _form(
        "scheme",
        "token jwt basic negotiate ntlm",
        rf"(?<![A-Z0-9+])(?i:token|jwt|basic|negotiate|ntlm){GAP}{OURS}(?!{PARAMETER})(?P<t>{NUMBERED}{_TOKEN68}{{16,}}+={{0,4}})",
        "weak",
        "RFC 7617; schemes of Django REST framework",
    )._replace(followers=_GAPS),
    _form(
        "named",
        "tok secret key pass jwt jwe jws auth sess sid cred assertion bearer pw sig code pepper psk ticket srf "
        "senha wachtwoord kennwort",
        rf"{_NAME}(?P<t>{PLAIN}|{QUOTED}|{UNQUOTED})",
        "keyed",
        "RFC 6749 §5.1, RFC 6750 §2.2 and §2.3; header names X-Api-Key, X-Auth-Token; see redact.names",
    )._replace(
        wider=(
            *(rf"{part}{_SCHEMED}(?P<t>{PLAIN})" for part in NAMED_PARTS),
            *(rf"{part}{_SCHEMED}(?P<t>{QUOTED}|{UNQUOTED}|{CLOSED})" for part in NAMED_PARTS),
        )
    ),
    _form(
        "near",
        "tok secret key pass pw auth sess",
        r"(?P<n>[A-Za-z0-9_-]{0,40}+)"
        r"(?:[\"']?\s{1,3}(?:(?i:is|plain|login)\s)?|\s[^\r\n:=\"']{0,80}:\s{1,2}|[(<{\[])[\"'`]?"
        rf"{OURS}(?P<t>[A-Za-z0-9+][A-Za-z0-9+/]{{11,127}}+={{0,2}}(?![A-Za-z0-9_@:.(-])"
        r"|[A-Za-z0-9_-]{32,128}+(?![A-Za-z0-9@:.(+/]))",
        "compact",
        "as people and protocols write it: a password is generated for root: …, PASS …, requirepass …",
    ),
    _form(
        "chosen",
        "pass pw auth",
        r"(?i:pass(?:wor[dt]|wd|phrase|code)|(?<=require)pass|(?<=bind|root)pw|(?<=master)auth)"
        r"(?:\s[^\r\n:=\"']{0,60}:)?\s(?P<t>(?:[^\s\"'`<>/=:,;]|[,;](?!\s|\Z)){8,64}+)(?=[\s.,;)\]]|\Z)",
        "chosen",
        "as people write it: with password …",
    ),
    _form(
        "foreign",
        "contraseña contrasena парол 密码 密碼 パスワード hasł heslo parola salasana 令牌 トークン 비밀번호 토큰 "
        "lösenord şifre κωδικ סיסמ कूटशब्द पासवर्ड รหัสผ่าน jelszó adgangskode kodeord токен مرور khẩu kata·sandi "
        "contrase\udcf1a l\udcf6senord jelsz\udcf3",
        r"(?:(?i:contrase(?:[ñ\udcf1]|n)a|парол\w{0,3}|hasł\w|heslo|parola|salasana|l[ö\udcf6]senord|şifre|jelsz[ó\udcf3]|adgangskode|kodeord"
        r"|κωδικ\w{1,4}|סיסמ\w{1,2}|токен\w{0,3}|مرور|khẩu|kata sandi)|密码|密碼|パスワード|令牌|トークン|비밀번호|토큰"
        r"|कूटशब्द|पासवर्ड|รหัสผ่าน)[\"'`]?\s?"
        r"(?:[:=\uff1a]|[「『«]|(?<=\s)(?:(?i:es|è|é|это|jest|är|er|to|:)\s)?)\s?[\"'`「『«]?\s?"
        rf"{OURS}(?P<t>{VALUE}{{6,2048}}+|{UNQUOTED})",
        "password",
        "names of secrets where people write another language; bytes of Latin-1, which are no UTF-8, too",
    ),
    _form(
        "foreign-key",
        "schlüssel schluessel geheimnis clé clave chave chiave ключ klucz klíč sleutel nyckel nøgle anahtar jeton "
        "accès 密钥 密鑰 密匙 凭证 憑證 キー مفتاح وصول सूत्र khóa "
        "schl\udcfcssel cl\udce9",
        r"(?:(?i:schl(?:[ü\udcfc]|ue)ssel|geheimnis|cl[é\udce9]s?|clave|chave|chiave|ключ\w{0,2}|klucz|klíč|sleutel|nyckel|nøgle|anahtar\w{0,3}"
        r"|jeton|accès|khóa)|密钥|密鑰|密匙|凭证|憑證|キー|(?:ال)?مفتاح|وصول|सूत्र)"
        r"(?:\s[^\s:=\"0-9]{1,14}){0,3}[\"'`]?\s?[:=\uff1a]\s?[\"'`「『«]?"
        rf"{OURS}(?P<t>[A-Za-z0-9_-]{{16,512}}+={{0,2}})(?![A-Za-z0-9_@:.(/])",
        "surely",
        "names of keys and tokens where people write another language: only what is surely made up",
    ),
    _form(
        "sql",
        "identified",
        r"(?i:identified)\s{1,4}(?:(?i:with)\s\S{1,40}\s{1,4})?(?i:by|as)\s{1,4}[\"']"
        r"(?!\[(?:token |password\]))(?P<t>[^\"'\r\n]{4,200})",
        "secret",
        "https://dev.mysql.com/doc/refman/en/create-user.html",
    ),
    _form(
        "phrase",
        "key token secret sess recovery·code",
        rf"(?i:{_SESSION_ID}|recovery code"
        r"|(?:(?<=api )|(?<=access )|(?<=secret )|(?<=signing )|(?<=encryption )|(?<=private )|(?<=token )"
        r"|(?<=license )|(?<=master )|(?<=root )|(?<=recovery )|(?<=encrypt ))key"
        r"|(?<=client )secret|(?:(?<=access )|(?<=refresh )|(?<=auth ))token)"
        rf"{_SAID}{OURS}(?P<t>{_T68}{{16,}}+)",
        "weak",
        "as people write it",
    )._replace(
        wider=(rf"(?i:{_SESSION_ID}|recovery code|{_LED}){_SAID}(?P<t>{_T68}{{16,}}+)",),
    ),
    _form(
        "webhook",
        "hooks.slack.com/ /api/webhooks/ .webhook.office.com/ api.telegram.org/",
        r"(?i:hooks\.slack\.com/(?:services|workflows)/[A-Z0-9]{6,}/[A-Z0-9]{6,}/|/api/webhooks/[0-9]{15,}/"
        r"|\.webhook\.office\.com/webhookb2/[0-9a-f@-]{30,}/IncomingWebhook/|api\.telegram\.org/(?:file/)?bot)"
        r"(?P<t>[0-9]{5,20}:[A-Za-z0-9_-]{20,}|[A-Za-z0-9_/-]{20,})",
        "always",
        "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, "
        "https://core.telegram.org/bots/api#making-requests; whoever has such a URL may post",
    ),
    _form(
        "kubernetes",
        "authorization.k8s.io.",
        r"(?i:authorization\.k8s\.io\.)(?P<t>[A-Za-z0-9_+/=.-]{16,})",
        "always",
        "https://kubernetes.io/docs/reference/access-authn-authz/authentication/, of WebSockets",
    ),
    _form(
        "reset",
        "/reset /password-reset /verify /confirm /activate /invit /magic",
        r"(?i:/(?:reset|password-reset|verif|confirm|activate|invit|magic)[a-z-]{0,12}/(?:[A-Za-z0-9_-]{1,16}/)?)"
        r"(?P<t>[A-Za-z0-9_+=%-]{20,})",
        "strong",
        "https://docs.djangoproject.com/en/stable/topics/auth/default/#django.contrib.auth.views.PasswordResetView",
    ),
    _form(
        "saml",
        "samlresponse samlart",
        r"(?i:samlresponse|samlart)[\\]{0,3}[\"']?\s?[=:]\s?[\\]{0,3}[\"']?(?P<t>[A-Za-z0-9_+=%/-]{20,})",
        "strong",
        "SAML 2.0 Bindings §3.5.4, §3.6.3",
    ),
    _form(
        "login",
        "·-p ·-a",
        r" -[ap][ =]?[\"']?(?P<t>[^\s\"']{12,}+)",
        "login",
        "https://docs.docker.com/reference/cli/docker/login/",
    ),
    _form(
        "option",
        "--",
        rf"(?<![A-Za-z0-9-])--(?P<n>[A-Za-z0-9-]{{2,40}}+)(?:[ =]| <<< )"
        rf"[\\\"']{{0,2}}{OURS}(?!{PARAMETER})(?P<t>{VALUE}{{6,2048}}+)",
        "keyed",
        "options of commands, by what they are called",
    ),
    _form(
        "userinfo-token",
        "://",
        r"://(?P<t>[A-Za-z0-9_-]{16,512}+)(?::(?:x|x-oauth-basic)?)?@",
        "strong",
        "RFC 3986 §3.2.1: a token as the user of a URL",
    ),
    _form(
        "user",
        "·-u ·--user",
        rf" (?:-u|--user)[ =][\\\"']{{0,2}}[^\s:@\"'=/-][^\s:@\"'=/]{{0,64}}:(?!//){OURS}(?P<t>[^\s\"']{{4,}}+)",
        "secret",
        "https://curl.se/docs/manpage.html#-u",
    ),
    _form(
        "pem",
        "private·key static·key",
        r"(?i:private key(?: block)?|static key v1)-----(?!\s*\[token )"
        r"(?P<t>(?:[^-]|-(?!----)){40,16384}+)(?:-----END|\Z)",
        "pem",
        "RFC 7468 §10 and §11",
    ),
    _form(
        "userinfo",
        "://",
        r"://[^\s:@/?#\"'<>]{0,128}+:(?!\[password\]|[0-9]{1,5}[?#])(?P<t>[^\s@/\"'<>]{1,512}+)@",
        "secret",
        "RFC 3986 §3.2.1: the userinfo of a URL; a password as a rule",
    ),
)

FORMS: tuple[Form, ...] = _NAMED_FORMS + tuple(
    Form(issuer, anchors, rf"(?P<t>{regex})", check, source) for issuer, anchors, regex, check, source in PROVIDERS
)
"""Every form, in the order in which they are tried. A longer match over the same text wins."""

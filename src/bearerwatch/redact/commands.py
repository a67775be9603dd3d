"""Commands that are given a secret, as shells, lists of arguments and audit trails write them.

What ``-p`` means depends on the command, so each has the options of its own manual.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from bearerwatch.redact.live import PASSWORD
from bearerwatch.redact.places import Besides, Check, given, hard, made, taken
from bearerwatch.redact.spans import Span

__all__ = ["COMMANDS", "Command"]

_MOST = 400
"""Characters of arguments that are looked at."""
_LONGEST = 200
_ARGUMENTS = re.compile(rf"(?:[^\r\n|;&]|[|;&](?![\s|;&])|\\\r?\n){{0,{_MOST}}}+")
_BEGINS = r"(?<![A-Za-z0-9_.@-])"
_NEXT = r"(?:[\"']?,\s?[\"']|\s|\"\sa[0-9]{1,2}=\")"
"""Between two arguments: in a shell, in a list, and in Linux's audit trail (auditd's EXECVE)."""
_ENDS = r"(?:\.exe)?(?=[\s\"'`])"
_IS = r"(?:[\"'],\s?[\"']|\"\sa[0-9]{1,2}=\"|[ =]{1,3})[\\\"'`]{0,2}"
"""Between an option and what it is given."""
_T = r"(?P<t>[^\s\"'`\\]{4,200})"
_USER = r"[^\s:\"'=/\\%,-][^\s:\"'=/\\%,]{0,64}"
_O = r"(?<=[\s\"'=(\[])"
"""Before an option."""


class Command(NamedTuple):
    """Programs with the same option for a secret."""

    id: str
    names: str
    """Separated by blanks; a plus sign stands where a subcommand follows, an asterisk where the name may go on."""
    option: str
    """What is matched within its arguments; the group ``t`` is the secret."""
    source: str
    check: Check = given
    kind: str = PASSWORD
    anchors: tuple[str, ...] = ()
    """Lower case; one of them stands in every such text. What the names begin with, if there are none."""
    at_once: bool = False
    """Whether *option* stands right behind the name."""


_LISTED = ("'-", '"-')
_P = (" -p", *_LISTED)
_NAMED = r"[A-Za-z0-9_.-]{0,40}(?i:pass(?:word|wd)?|pwd?|secret|token|key|cred|psk)[A-Za-z0-9_-]{0,12}"

TABLE: tuple[Command, ...] = (
    Command(
        "mysql",
        "mysql* mariadb*",
        rf"{_O}-p[\\\"']{{0,2}}{_T}",
        "https://dev.mysql.com/doc/refman/en/password-security-user.html",
        anchors=_P,
    ),
    Command(
        "password-p",
        "sshpass mongo mongosh mongodump mongorestore mongoexport mongoimport cqlsh beeline evil-winrm psexec* "
        "rdesktop az+login docker+login podman+login nerdctl+login buildah+login skopeo+login "
        "helm+registry+login helm+repo+add "
        "oras+login crane+auth+login az+acr+login oc+login cf+login rabbitmqadmin unrar rar useradd usermod "
        "cypher-shell nxc crackmapexec hydra twine+upload ncftpput ncftpget ncftpls",
        rf"{_O}-p{_IS}{_T}",
        "their manuals: -p is the password",
        anchors=_P,
    ),
    Command(
        "archive",
        "7z* unrar rar sshpass",
        rf"{_O}-(?:h?p)[\\\"']{{0,2}}{_T}",
        "https://documentation.help/7-Zip/password.htm",
        anchors=(" -hp", *_P),
    ),
    Command(
        "password-capital-p",
        "ipmitool ipmiutil mosquitto_pub mosquitto_sub mosquitto_rr sqlcmd bcp isql osql tsql freebcp zip "
        "unzip zipcloak "
        "rabbitmq-perf-test impacket-mssqlclient ldapvi",
        rf"{_O}-P{_IS}{_T}",
        "https://linux.die.net/man/1/ipmitool; https://mosquitto.org/man/mosquitto_pub-1.html; "
        "https://learn.microsoft.com/sql/tools/sqlcmd/sqlcmd-utility",
        anchors=_P,
    ),
    Command(
        "glued",
        "sqlcmd bcp osql tsql zip unzip",
        rf"{_O}-P[\\\"']{{0,2}}{_T}",
        "https://learn.microsoft.com/sql/tools/sqlcmd/sqlcmd-utility",
        anchors=_P,
    ),
    Command(
        "ipmitool",
        "ipmitool",
        rf"{_O}-[Ky]{_IS}{_T}",
        "https://linux.die.net/man/1/ipmitool",
        anchors=(" -k", " -y", *_LISTED),
    ),
    Command(
        "password-long",
        "influx influxd keytool jarsigner imapsync rclone kafka* zkcli*",
        rf"{_O}-(?:password1?|password2|passwd|storepass|keypass|pass){_IS}{_T}",
        "their manuals: long options with one hyphen",
        anchors=("-pass", "-storepass", "-keypass"),
    ),
    Command(
        "openssl",
        "openssl",
        rf"{_O}-(?:pass(?:in|out)?|[kK]){_IS}(?:pass:)?{_T}",
        "https://docs.openssl.org/master/man1/openssl-passphrase-options/",
        anchors=("-pass", " -k", *_LISTED),
    ),
    Command(
        "snmp",
        "snmp*",
        rf"{_O}-[AX]{_IS}{_T}",
        "https://www.net-snmp.org/docs/man/snmpcmd.html",
        anchors=(" -a", " -x", *_LISTED),
    ),
    Command(
        "community",
        "snmp*",
        rf"{_O}-c{_IS}{_T}",
        "https://www.net-snmp.org/docs/man/snmpcmd.html",
        anchors=(" -c", *_LISTED),
    ),
    Command(
        "htpasswd",
        "htpasswd",
        rf"{_O}-[A-Za-z0-9]{{0,6}}b[A-Za-z0-9]{{0,6}}{_NEXT}(?:-C{_NEXT})?(?:[0-9]{{1,2}}{_NEXT})?"
        rf"(?:(?![->])[^\s\"']{{1,120}}{_NEXT}){{1,2}}[\\\"']{{0,2}}{_T}(?=[\s\"']{{0,3}}(?:[\r\n\])>|;&]|\Z))",
        "https://httpd.apache.org/docs/current/programs/htpasswd.html",
        anchors=("htpasswd",),
    ),
    Command(
        "nmcli",
        "nmcli",
        rf"{_O}(?:password|wifi-sec\.psk|802-11-wireless-security\.psk|wifi-sec\.wep-key0|802-1x\.password|vpn\.secrets)"
        rf"{_IS}(?:password=)?{_T}",
        "https://networkmanager.dev/docs/api/latest/nmcli.html",
        anchors=("psk", "password", "wep-key", "secrets"),
    ),
    Command(
        "httpie",
        "http https xh xhs",
        rf"{_O}(?:-a|--auth){_IS}(?:{_USER}:)?(?!\s){_T}",
        "https://httpie.io/docs/cli/authentication",
        hard,
        anchors=(" -a", " --auth", *_LISTED),
    ),
    Command(
        "curl",
        "curl",
        rf"{_O}(?:-[a-zA-Z]{{0,6}}u|--user){_IS}(?P<t>[^\s\"':$<{{]{{12,200}}):(?=[\s\"']|\Z)",
        "https://curl.se/docs/manpage.html#-u: of many interfaces the key is the user, and the password empty",
        made,
        "command",
        anchors=(" -u", " --user", *_LISTED),
    ),
    Command(
        "proxy-user",
        "curl",
        rf"{_O}(?:--proxy-user|-U|--user|-[a-zA-Z]{{0,6}}u)(?:{_IS}|[\\\"']{{0,2}}){_USER}:{_T}",
        "https://curl.se/docs/manpage.html#-U",
        anchors=(" -u", " --user", " --proxy-user", *_LISTED),
    ),
    Command(
        "samba",
        "smbclient rpcclient smbget smbmap smbcacls smbpasswd net+rpc net+ads wmic winexe",
        rf"{_O}(?:-U|--user){_IS}[^\s%\"']{{1,80}}%{_T}",
        "https://www.samba.org/samba/docs/current/man-html/smbclient.1.html",
        anchors=(" -u", " --user", *_LISTED),
    ),
    Command(
        "net-use",
        "net+use net.exe+use net+user",
        rf"{_O}/(?:user|u):[^\s\"']{{1,80}}{_NEXT}(?!/){_T}",
        "https://learn.microsoft.com/windows-server/administration/windows-commands/net-use",
        anchors=("net use", "net user"),
    ),
    Command(
        "net-use-before",
        "net+use net.exe+use",
        rf"\\\\[^\s\"']{{2,200}}{_NEXT}(?![/*]){_T}(?=\s{{1,3}}/(?:user|u|p|persistent):)",
        "https://learn.microsoft.com/windows-server/administration/windows-commands/net-use",
        anchors=("net use",),
    ),
    Command(
        "slash-p",
        "xfreerdp* wfreerdp sdl-freerdp freerdp cmdkey schtasks* wmic psexec*",
        rf"{_O}/(?:p|rp|pass|password|gp)[: ][\\\"']{{0,2}}{_T}",
        "https://github.com/FreeRDP/FreeRDP/wiki/CommandLineInterface; "
        "https://learn.microsoft.com/windows-server/administration/windows-commands/schtasks-create",
        anchors=("freerdp", "cmdkey", "/pass", "/rp "),
    ),
    Command(
        "ldap",
        "ldap*",
        rf"{_O}-w(?:{_IS}|[\\\"']{{0,2}}){_T}",
        "https://www.openldap.org/software/man.cgi?query=ldapsearch",
        anchors=(" -w", " -x", *_LISTED),
    ),
    Command(
        "ldappasswd",
        "ldappasswd",
        rf"{_O}-[sa](?:{_IS}|[\\\"']{{0,2}}){_T}",
        "https://www.openldap.org/software/man.cgi?query=ldappasswd",
        anchors=(" -s", " -a", *_LISTED),
    ),
    Command(
        "vault",
        "vault+login vault+operator+unseal vault+operator+rekey vault+token+lookup "
        "vault+token+revoke vault+token+renew",
        rf"{_NEXT}(?:-[A-Za-z-]{{1,30}}(?:=\S{{1,60}})?{_NEXT}){{0,4}}[\\\"']{{0,2}}(?!-){_T}",
        "https://developer.hashicorp.com/vault/docs/commands/login",
        made,
        "command",
        anchors=("vault",),
        at_once=True,
    ),
    Command(
        "vault-kv",
        "vault+kv+put vault+kv+patch vault+write",
        rf"{_O}[A-Za-z0-9_.-]{{1,60}}=[\\\"']{{0,2}}{_T}",
        "https://developer.hashicorp.com/vault/docs/commands/kv/put: what is put there is a secret",
        made,
        "command",
        anchors=("vault",),
    ),
    Command(
        "literal",
        "kubectl+create+secret oc+create+secret k+create+secret kubectl.exe+create+secret",
        rf"{_O}--from-literal[= ][\\\"']{{0,2}}[A-Za-z0-9_.-]{{1,80}}=[\\\"']{{0,2}}{_T}",
        "https://kubernetes.io/docs/reference/kubectl/generated/kubectl_create/kubectl_create_secret_generic/",
        anchors=("--from-literal",),
    ),
    Command(
        "creds",
        "skopeo podman buildah nerdctl helm crane oras curl cosign regctl",
        rf"{_O}--(?:src-|dest-)?creds{_IS}{_USER}:{_T}",
        "https://github.com/containers/skopeo/blob/main/docs/skopeo-copy.1.md",
        anchors=("creds",),
    ),
    Command(
        "configured",
        "aws+configure+set npm+config+set pnpm+config+set yarn+config+set npm+set git+config gcloud+config+set "
        "heroku+config:set "
        "composer+config bundle+config conda+config gem+sources fly+secrets+set flyctl+secrets+set "
        "wrangler+secret gh+secret+set "
        "pulumi+config+set doppler+secrets+set vercel+env+add serverless+config eb+setenv dokku+config:set",
        rf"{_O}[A-Za-z0-9_./:@-]{{0,120}}(?i:pass(?:word|wd)?|pwd|secret|token|auth|api_?key|access_?key|secret_key|_key)(?:[=]|{_NEXT})[\\\"']{{0,2}}(?!-){_T}",
        "https://docs.npmjs.com/cli/v10/configuring-npm/npmrc; "
        "https://docs.aws.amazon.com/cli/latest/reference/configure/set.html",
        hard,
        anchors=("auth", "token", "secret", "pass", "key"),
    ),
    Command(
        "http-basic",
        "poetry+config composer+config pip+config+set uv+auth+login",
        rf"{_O}http-basic\.[A-Za-z0-9_.-]{{1,80}}{_NEXT}[^\s\"']{{1,80}}{_NEXT}[\\\"']{{0,2}}(?!-){_T}",
        "https://python-poetry.org/docs/repositories/#configuring-credentials",
        anchors=("http-basic",),
    ),
    Command(
        "pypi-token",
        "poetry+config",
        rf"{_O}pypi-token\.[A-Za-z0-9_.-]{{1,80}}{_NEXT}[\\\"']{{0,2}}(?!-){_T}",
        "https://python-poetry.org/docs/repositories/#configuring-credentials",
        anchors=("pypi-token",),
    ),
    Command(
        "lftp",
        "lftp",
        rf"{_O}-u{_IS}[^\s,\"']{{1,80}},{_T}",
        "https://lftp.yar.ru/lftp-man.html",
        anchors=(" -u", *_LISTED),
    ),
    Command(
        "oracle",
        "sqlplus sql expdp impdp sqlldr rman+target",
        rf"{_O}[\\\"']{{0,2}}[A-Za-z][A-Za-z0-9_$#]{{0,30}}/(?P<t>[^\s/@\"']{{4,64}})@(?=[A-Za-z0-9/(])",
        "https://docs.oracle.com/en/database/oracle/oracle-database/19/sqpug/starting-SQL-Plus.html",
        anchors=("sqlplus", "expdp", "impdp"),
    ),
    Command(
        "oracle-connect",
        "connect CONNECT Connect",
        r"\s(?:(?i:target|catalog|auxiliary)\s)?[\"']?[A-Za-z][A-Za-z0-9_$#]{0,30}/(?P<t>[^\s/@\"']{4,64})"
        r"(?:@(?=[A-Za-z0-9/(])|(?=;|\s+(?i:as)\s))",
        "https://docs.oracle.com/en/database/oracle/oracle-database/19/sqpug/CONNECT.html",
        anchors=("connect ",),
        at_once=True,
    ),
    Command(
        "redis-cli",
        "redis-cli valkey-cli keydb-cli",
        rf"{_O}(?:-a|--pass){_IS}{_T}",
        "https://redis.io/docs/latest/develop/tools/cli/",
        anchors=(" -a", " --pass", *_LISTED),
    ),
    Command(
        "users-of-services",
        "rabbitmqctl+add_user rabbitmqctl+change_password rabbitmqctl+authenticate_user asadmin ",
        rf"{_NEXT}(?!-)[^\s\"']{{1,80}}{_NEXT}(?:[a-z0-9.-]{{1,60}}\.[a-z]{{2,8}}{_NEXT})?[\\\"']{{0,2}}(?!-){_T}",
        "https://www.rabbitmq.com/docs/man/rabbitmqctl.8",
        anchors=("rabbitmqctl",),
        at_once=True,
    ),
    Command(
        "net-user",
        "net+user net1+user rasdial isql",
        rf"\s{{1,4}}(?:-v\s)?(?![/-])(?:\"[^\"\r\n]{{1,60}}\"|[^\s\"'/]{{1,60}})"
        rf"(?:{_NEXT}[^\s\"'/]{{1,60}}(?=\s\S{{1,200}}[ \t]{{0,4}}(?:[\r\n]|\Z)))?"
        rf"{_NEXT}[\\\"']{{0,2}}(?![/*-]){_T}",
        "https://learn.microsoft.com/windows-server/administration/windows-commands/net-user",
        hard,
        anchors=("net user", "rasdial", "isql"),
        at_once=True,
    ),
    Command(
        "registry",
        "reg+add REG+ADD reg.exe+add",
        rf"/v\s{{1,2}}[\"']?{_NAMED}[\"']?\s[^\r\n]{{0,80}}?/d\s{{1,2}}[\"']?{_T}",
        "https://learn.microsoft.com/windows-server/administration/windows-commands/reg-add",
        anchors=("password", "secret", "token", "pwd"),
    ),
    Command(
        "bitsadmin",
        "bitsadmin",
        rf"(?i:/setcredentials)\s\S{{1,80}}\s\S{{1,20}}\s\S{{1,20}}\s\S{{1,80}}\s{_T}",
        "https://learn.microsoft.com/windows-server/administration/windows-commands/bitsadmin-setcredentials",
        anchors=("bitsadmin",),
    ),
    Command(
        "impacket",
        "psexec.py smbexec.py wmiexec.py atexec.py dcomexec.py secretsdump.py smbclient.py mssqlclient.py lookupsid.py",
        r"[\s\"'][A-Za-z0-9_.-]{1,60}(?:/[A-Za-z0-9_.$-]{1,60})?:(?P<t>[^\s\"'@]{4,128})@(?=[A-Za-z0-9])",
        "https://github.com/fortra/impacket",
        anchors=("exec.py", "secretsdump", "client.py"),
    ),
    Command(
        "nt-hash",
        "psexec.py smbexec.py wmiexec.py secretsdump.py evil-winrm nxc crackmapexec xfreerdp*",
        r"(?:-hashes|-H|/pth:)[ :]?[\"']?(?:[0-9a-fA-F]{32})?:?(?P<t>[0-9a-fA-F]{32})(?![0-9a-fA-F])",
        "https://learn.microsoft.com/openspecs/windows_protocols/ms-nlmp: the hash will do for a password",
        made,
        "hash",
        anchors=("exec.py", "secretsdump", " -h", "/pth:"),
    ),
    Command(
        "wireless",
        "iwconfig",
        rf"{_O}key\s(?:s:)?{_T}",
        "https://linux.die.net/man/8/iwconfig",
        anchors=("key s:", "key "),
    ),
    Command(
        "wpa-cli",
        "wpa_cli",
        rf"\s(?:psk|password|sae_password|wep_key[0-3])\s[\\\"']{{0,4}}{_T}",
        "https://w1.fi/wpa_supplicant/",
        anchors=("psk", "password", "wep_key"),
    ),
    Command(
        "ansible-vault",
        "ansible-vault",
        rf"encrypt_string\s(?:--?[a-z-]{{1,24}}[ =]\S{{1,80}}\s){{0,4}}(?!-)[\\\"']{{0,2}}{_T}",
        "https://docs.ansible.com/ansible/latest/cli/ansible-vault.html",
        anchors=("encrypt_string",),
    ),
    Command(
        "setx",
        "setx set+-gx setenv ENV",
        rf"\s{{1,4}}(?:/[mM]\s)?[\"']?{_NAMED}[\"']?\s{{1,4}}[\\\"']{{0,2}}(?!=){_T}",
        "https://learn.microsoft.com/windows-server/administration/windows-commands/setx; "
        "https://docs.docker.com/reference/dockerfile/#env",
        hard,
        anchors=("token", "secret", "pass", "key", "pwd"),
        at_once=True,
    ),
    Command(
        "logins-at-once",
        "cargo+login doctl+auth+init gcloud+auth+activate-refresh-token nuget+setapikey",
        rf"(?:{_NEXT}[^\s\"'=-][^\s\"'=]{{0,80}}(?={_NEXT}[\"']?[^-]))?(?:{_NEXT}(?:-t|--?[a-z-]{{0,20}}token))?{_NEXT}[\\\"'`]{{0,2}}(?!-){_T}",
        "https://doc.rust-lang.org/cargo/commands/cargo-login.html, "
        "https://docs.digitalocean.com/reference/doctl/reference/auth/init/",
        made,
        "token",
        anchors=("cargo login", "doctl auth", "activate-refresh-token", "nuget setapikey"),
        at_once=True,
    ),
    Command(
        "alias",
        "mc+alias+set mcli+alias+set",
        rf"{_NEXT}[^\s\"']{{1,60}}{_NEXT}[^\s\"']{{8,200}}{_NEXT}[^\s\"']{{3,128}}{_NEXT}[\\\"'`]{{0,2}}(?!-){_T}",
        "https://min.io/docs/minio/linux/reference/minio-mc/mc-alias-set.html",
        anchors=("alias set",),
        at_once=True,
    ),
    Command(
        "body",
        "gh+secret+set",
        rf"{_O}(?:-b|--body){_IS}{_T}",
        "https://cli.github.com/manual/gh_secret_set",
        anchors=("secret set",),
    ),
    Command(
        "one-hyphen",
        "nuget dotnet+nuget",
        rf"{_O}-(?i:[a-z]{{0,20}}(?:token|apikey|secret|accountkey)|password|pass|pat){_IS}{_T}",
        "https://learn.microsoft.com/nuget/reference/cli-reference/cli-ref-push",
        hard,
        anchors=("nuget",),
    ),
    Command(
        "passphrase",
        "gpg* gpg2 borg restic duplicity cryptsetup rclone",
        rf"{_O}--?(?:passphrase|new-passphrase){_IS}{_T}",
        "https://www.gnupg.org/documentation/manuals/gnupg/GPG-Esoteric-Options.html",
        anchors=("-passphrase",),
    ),
)


def _called(command: Command) -> str:
    names = (
        re.escape(name).replace(r"\+", _NEXT).replace(r"\*", "[A-Za-z0-9_-]{0,20}") for name in command.names.split()
    )
    return f"{_BEGINS}(?:{'|'.join(names)}){_ENDS}"


@cache
def _compiled(command: Command) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return re.compile(_called(command)), re.compile(command.option)


def _anchors(command: Command) -> tuple[str, ...]:
    return command.anchors or tuple(dict.fromkeys(re.split(r"[+*]", name)[0].lower() for name in command.names.split()))


def _spans(command: Command, text: str) -> list[Span]:
    name, option = _compiled(command)
    found: list[Span] = []
    calls = list(name.finditer(text))
    for number, called in enumerate(calls, 1):
        following = calls[number].start() if number < len(calls) else len(text)
        last = _arguments_end(text, called.end(), following)
        within = option.finditer(text, called.end(), following)
        if command.at_once:
            first = option.match(text, called.end(), last + _LONGEST)
            within = iter(() if first is None else (first,))
        for match in within:
            if match.start("t") > last:
                break
            span = taken(text, *match.span("t"), command.check)
            if span is not None:
                found.append(Span(*span, command.kind))
                last = max(last, _arguments_end(text, match.end(), following))
    return found


def _arguments_end(text: str, start: int, following: int) -> int:
    """Where the arguments end that begin at *start*, as far as they are looked at, or the *following* call begins."""
    arguments = _ARGUMENTS.match(text, start)
    return min(start if arguments is None else arguments.end(), following)


def _finder(commands: tuple[Command, ...]) -> Callable[[str], list[Span]]:
    words = [(command, {re.split(r"[+*]", name)[0].lower() for name in command.names.split()}) for command in commands]

    def find(text: str) -> list[Span]:
        low = text.lower()
        return [
            span for command, names in words if any(name in low for name in names) for span in _spans(command, text)
        ]

    return find


def _places(commands: tuple[Command, ...]) -> tuple[Besides, ...]:
    groups: dict[str, list[Command]] = {}
    for command in commands:
        for anchor in _anchors(command):
            groups.setdefault(anchor, []).append(command)
    return tuple((anchor, _finder(tuple(group)), _either(group)) for anchor, group in groups.items())


def _either(commands: list[Command]) -> str:
    whole = (f"{_called(command)}(?:[^\\r\\n]|\\\\\\r?\\n)*{command.option}" for command in commands)
    return "|".join(f"(?:{re.sub('[?]P<[a-z]+>', '', regex)})" for regex in whole)


COMMANDS = _places(TABLE)
"""For the gate."""

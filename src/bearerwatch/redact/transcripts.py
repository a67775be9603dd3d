"""What is said in protocols, and what devices of networks are configured with, where no name tells a secret."""

from __future__ import annotations

from bearerwatch.redact.places import STRING, VALUE, Place, besides, closing, given, hard, made, sasl

__all__ = ["TRANSCRIPTS"]

_LINE = r"(?<![^\n])(?:[^\n]{0,80}?[>:\]|\"'-]\s{0,2}(?:b[\"'])?)?"
"""Before what a client has sent, where each line of a log begins with something else."""
_END = r"[ \t]{0,4}(?=[\r\n\"']|\\r|\\n|\Z)"
_TYPE = r"(?:[0-9]\s)?"
"""Before a secret, in configurations of networks: how it is written; 0 is plain."""

_PROTOCOLS: tuple[Place, ...] = (
    Place(
        "pass",
        ("pass ",),
        rf"{_LINE}(?<![A-Za-z0-9])PASS\s{VALUE}{_END}",
        "RFC 959 §4.1.1, RFC 1939 §7, RFC 2812 §3.1.1",
        hard,
    ),
    Place(
        "user-pass",
        ("pass ",),
        rf"(?<![A-Za-z0-9])(?:USER\s[^\s]{{1,80}}[^\n]{{0,80}}?(?:\r?\n|\\r\\n)(?:[^\n]{{0,160}}(?:\r?\n|\\r\\n)){{0,2}}?[^\n]{{0,40}}?(?<![A-Za-z0-9])PASS\s){VALUE}{_END}",
        "RFC 959 §4.1.1, RFC 1939 §7",
    ),
    Place("authinfo", ("authinfo",), rf"(?i:authinfo\s(?:user\s\S{{1,80}}\s{{1,4}})?pass\s){VALUE}", "RFC 4643 §2.3"),
    Place(
        "imap",
        (" login ",),
        rf"(?<![^\s\"'>:(\[])[A-Za-z]{{0,5}}[0-9]{{1,6}}\sLOGIN\s(?:\"[^\"\n]{{1,100}}\"|[^\s\"]{{1,100}})\s\"?{VALUE}",
        "RFC 9051 §6.2.3",
        closing,
    ),
    Place(
        "sasl",
        ("auth",),
        r"(?i:auth(?:enticate)?\s(?:plain|login|xoauth2|oauthbearer))\s(?P<t>[A-Za-z0-9+/]{8,4096}={0,2})",
        "RFC 4954 §4",
        sasl,
    ),
    Place(
        "sasl-answer",
        ("334 ugfz",),
        r"334 UGFzc3dvcmQ6[^\n]{0,8}\n[^\n]{0,60}?"
        r"(?P<t>[A-Za-z0-9+/]{4,}={0,2})[\"']?(?:\\r\\n)?[\"']?\s{0,2}(?=[\r\n]|\Z)",
        "RFC 4954 §4; what AUTH LOGIN asks",
        sasl,
    ),
    Place(
        "redis",
        ("auth",),
        rf"(?<![A-Za-z0-9_-])(?:AUTH[\"']?|(?<=[\"'])auth[\"'])\s[\"']?[A-Za-z][A-Za-z0-9_.-]{{0,40}}[\"']?\s[\"']?{VALUE}[\"']?{_END}",
        "https://redis.io/docs/latest/commands/auth/",
        hard,
    ),
    Place(
        "redis-hello",
        ("auth",),
        rf"(?i:hello)[\"']?\s[\"']?[23][\"']?\s[\"']?(?i:auth)[\"']?\s[\"']?[^\s\"']{{1,80}}[\"']?\s[\"']?{VALUE}",
        "https://redis.io/docs/latest/commands/hello/",
    ),
    Place(
        "resp",
        ("auth\\r\\n$", "auth\r\n$"),
        r"(?i:auth)(?:\\r\\n|\r\n)(?:\$[0-9]{1,3}(?:\\r\\n|\r\n)[A-Za-z0-9_.-]{1,60}(?:\\r\\n|\r\n))?\$[0-9]{1,4}(?:\\r\\n|\r\n)(?P<t>[^\s\\\"']{4,200})",
        "https://redis.io/docs/latest/develop/reference/protocol-spec/",
    ),
    Place(
        "nickserv",
        ("nickserv",),
        rf"(?i:nickserv(?:@[a-z.]{{1,40}})?\s:?(?:identify|register|ghost\s\S{{1,30}}|recover\s\S{{1,30}}|regain\s\S{{1,30}}))\s(?:[^\s\"']{{1,30}}\s(?=\S{{1,200}}{_END}))?{VALUE}{_END}",
        "https://libera.chat/guides/registration",
        hard,
    ),
    Place(
        "shared-key",
        ("sharedkey",),
        r"(?i:sharedkey(?:lite)?)\s[a-z0-9]{3,24}:(?P<t>[A-Za-z0-9+/]{20,}={0,2})",
        "https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key",
        made,
        "signature",
    ),
    Place(
        "digest",
        ("auth",),
        r"(?i:digest)\s[^\n]{0,600}?(?<![A-Za-z])response=\\?\"(?P<t>[0-9a-fA-F]{32,64})",
        "RFC 7616 §3.4.1",
        made,
        "signature",
    ),
    Place(
        "hawk",
        ("hawk ",),
        r"(?i:hawk)\s[^\n]{0,600}?(?<![A-Za-z])mac=\\?\"(?P<t>[A-Za-z0-9+/]{20,}={0,2})",
        "https://github.com/mozilla/hawk/blob/main/API.md",
        made,
        "signature",
    ),
    Place(
        "sdes",
        ("inline:",),
        r"(?i:aes|f8|aead|null)[A-Za-z0-9_]{4,40}\sinline:(?P<t>[A-Za-z0-9+/]{20,}={0,2})",
        "RFC 4568 §6.1: the key of a call",
        made,
        "key",
    ),
    Place(
        "wsse",
        ("passworddigest",),
        r"(?i:passworddigest)=\\?\"(?P<t>[A-Za-z0-9+/]{20,}={0,2})",
        "https://docs.oasis-open.org/wss/v1.1/",
        made,
        "signature",
    ),
    Place(
        "machine",
        ("password ",),
        rf"(?:machine\s{{1,8}}(?:[A-Za-z0-9-]{{1,63}}\.[^\s]{{1,200}}|localhost)|default(?=\s{{1,8}}login\s))\s{{1,8}}(?:(?:login|account)\s{{1,8}}[^\s]{{1,100}}\s{{1,8}}){{0,2}}password\s{{1,8}}[\"']?{VALUE}",
        "https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html",
        beside=("machine", "default"),
    ),
    Place(
        "pgpass",
        (":5432:",),
        rf"(?<![^\s\"'(\[])[A-Za-z0-9.*_-]{{1,100}}:(?:5432|\*):[A-Za-z0-9_*-]{{1,63}}:[A-Za-z0-9_*.-]{{1,63}}:(?P<t>[^\s:\"'\\]{{4,128}}){_END}",
        "https://www.postgresql.org/docs/current/libpq-pgpass.html",
    ),
    Place(
        "crypt",
        (":$",),
        r"(?<=:)(?P<t>\$(?:1|2[abxy]|5|6|7|y|gy|apr1|argon2(?:id|i|d)|scrypt)\$[./A-Za-z0-9$=,+-]{20,256})(?=[:\s\"'\\]|\Z)",
        "https://man7.org/linux/man-pages/man5/shadow.5.html, crypt(5): a hash of a password lets whoever has it guess",
        lambda *_: True,
    ),
    Place(
        "go-dsn",
        ("@tcp(",),
        r"(?<![A-Za-z0-9_/.-])[A-Za-z0-9_.-]{1,64}:(?P<t>[^\s@\"'/:]{4,128})@(?:tcp|unix)\(",
        "https://github.com/go-sql-driver/mysql#dsn-data-source-name",
    ),
    Place(
        "dsn",
        (":5672", ":6379"),
        r"(?<![A-Za-z0-9_/.:-])[A-Za-z0-9_.-]{1,32}:(?P<t>[^\s@\"'/:]{4,128})@[A-Za-z0-9.-]{1,100}:(?:5672|6379)(?![0-9])",
        "RFC 3986 §3.2.1, where the scheme was left out",
    ),
    Place(
        "thin",
        ("thin:",),
        r"(?i:oracle:thin|oracle:oci):[A-Za-z][A-Za-z0-9_$#]{0,30}/(?P<t>[^\s/@\"']{4,64})@",
        "https://docs.oracle.com/en/database/oracle/oracle-database/19/jjdbc/data-sources-and-URLs.html",
    ),
    Place(
        "mongo-shell",
        (".auth(",),
        rf"\.auth\(\s?\\?[\"'][^\"'\n]{{1,64}}[\"'],\s?\\?[\"']{STRING}(?=[\"'\\])",
        "https://www.mongodb.com/docs/manual/reference/method/db.auth/",
    ),
)

_DEVICES: tuple[Place, ...] = (
    Place(
        "community",
        ("community",),
        rf"(?i:snmp-server\scommunity|(?<![a-z])r[ow]community6?|snmp-agent\scommunity\s(?:read|write)|snmp\scommunity(?:\sstring)?)\s{{1,4}}(?:cipher\s|{_TYPE})?[\"']?{VALUE}",
        "https://www.cisco.com/c/en/us/td/docs/ios-xml/ios/snmp/command/nm-snmp-cr-book.html, snmpd.conf(5)",
        given,
    ),
    Place(
        "trap",
        ("snmp-server",),
        rf"(?i:snmp-server\shost\s\S{{1,80}}\s(?:(?:traps|informs)\s)?(?:version\s(?:1|2c)\s)?){VALUE}{_END}",
        "https://www.cisco.com/c/en/us/td/docs/ios-xml/ios/snmp/command/nm-snmp-cr-book.html",
        hard,
    ),
    Place(
        "enable",
        ("enable secret", "enable password"),
        rf"(?<![A-Za-z0-9])enable\s(?:secret|password)\s(?:level\s[0-9]{{1,2}}\s)?[0-9]\s{VALUE}{_END}",
        "https://www.cisco.com/c/en/us/td/docs/ios-xml/ios/security/d1/sec-d1-cr-book.html",
    ),
    Place(
        "enable-plain",
        ("enable secret", "enable password"),
        rf"(?<![A-Za-z0-9])enable\s(?:secret|password)\s(?:level\s[0-9]{{1,2}}\s)?(?![0-9]\s){VALUE}{_END}",
        "https://www.cisco.com/c/en/us/td/docs/ios-xml/ios/security/d1/sec-d1-cr-book.html",
        hard,
    ),
    Place(
        "username",
        ("password", "secret"),
        rf"(?<![A-Za-z0-9])username\s\S{{1,64}}\s(?:privilege\s[0-9]{{1,2}}\s)?(?:password|secret)\s[0-9]\s{VALUE}",
        "https://www.cisco.com/c/en/us/td/docs/ios-xml/ios/security/s1/sec-s1-cr-book.html",
        closing,
        beside=("username",),
    ),
    Place(
        "username-plain",
        ("password", "secret"),
        rf"(?<![A-Za-z0-9])username\s\S{{1,64}}\s(?:privilege\s[0-9]{{1,2}}\s)?(?:password|secret)\s(?![0-9]\s){VALUE}(?=\s{{0,4}}(?:[\r\n\"']|\\r|\\n|\Z|encrypted|privilege|role|nt-encrypted|mschap))",
        "https://www.cisco.com/c/en/us/td/docs/ios-xml/ios/security/s1/sec-s1-cr-book.html",
        hard,
        beside=("username",),
    ),
    Place(
        "line-password",
        ("password ", "secret ", "key-string", "authentication-key"),
        rf"(?<![A-Za-z0-9-])(?:password|secret|authentication-key|key-string|md5)\s[0678]\s{VALUE}{_END}",
        "https://www.cisco.com/c/en/us/td/docs/ios-xml/ios/security/d1/sec-d1-cr-book.html",
        hard,
    ),
    Place(
        "key",
        ("key ",),
        rf"(?<![A-Za-z0-9])(?:(?:tacacs|radius)(?:-server)?\s(?:server\s|host\s)?(?:\S{{1,80}}\s)?(?:auth-port\s[0-9]{{1,5}}\s)?(?:acct-port\s[0-9]{{1,5}}\s)?)?key\s[05678]\s[\"']?{VALUE}[\"']?{_END}",
        "https://www.cisco.com/c/en/us/td/docs/ios-xml/ios/security/d1/sec-d1-cr-t2.html",
        hard,
    ),
    Place(
        "server-key",
        ("key ",),
        rf"(?<![A-Za-z0-9])(?:tacacs|radius)-server\s(?:host\s\S{{1,80}}\s)?(?:auth-port\s[0-9]{{1,5}}\s)?(?:acct-port\s[0-9]{{1,5}}\s)?key\s{_TYPE}[\"']?{VALUE}",
        "as above",
    ),
    Place(
        "neighbor",
        ("password",),
        rf"neighbor\s\S{{1,64}}\spassword\s{_TYPE}{VALUE}",
        "https://www.cisco.com/c/en/us/td/docs/ios/iproute_bgp/command/reference/irg_book.html",
        beside=("neighbor",),
    ),
    Place(
        "pre-shared",
        ("pre-shared-key",),
        rf"(?i:pre-shared-key)\s(?:(?:ascii-text|hexadecimal|local|remote|cipher|(?:address|hostname)\s\S{{1,80}}(?:\s[0-9.]{{7,15}})?\skey)\s)?{_TYPE}[\"']?{VALUE}",
        "https://www.juniper.net/documentation/us/en/software/junos/cli-reference/topics/ref/statement/security-edit-pre-shared-key.html",
        hard,
    ),
    Place(
        "isakmp",
        ("isakmp key",),
        rf"isakmp\skey\s{_TYPE}{VALUE}\s(?=address|hostname)",
        "https://www.cisco.com/c/en/us/td/docs/ios-xml/ios/security/d1/sec-d1-cr-c4.html",
    ),
    Place(
        "wpa-psk",
        ("wpa-psk",),
        rf"wpa-psk\s(?:ascii|hex|set-key\s(?:ascii|hex))\s{_TYPE}[\"']?{VALUE}",
        "https://www.cisco.com/c/en/us/td/docs/wireless/access_point/12-4-25d-JA/Command/reference/cr12425d.html",
    ),
    Place(
        "ospf",
        ("authentication-key", "message-digest-key", "key-string", "chap password"),
        rf"(?:authentication-key|message-digest-key\s[0-9]{{1,3}}\smd5|key-string|chap\spassword|pap\ssent-username\s\S{{1,40}}\spassword)\s{_TYPE}[\"']?{VALUE}[\"']?;?{_END}",
        "https://www.cisco.com/c/en/us/td/docs/ios-xml/ios/iproute_ospf/command/iro-cr-book.html",
    ),
    Place(
        "junos",
        ("## secret-data",),
        rf"\s\"{STRING}\";\s##\sSECRET-DATA",
        "https://www.juniper.net/documentation/us/en/software/junos/user-access/",
    ),
    Place(
        "fortios",
        ("set passw", "set psksecret", "set passphrase", "set secret", "set key"),
        rf"(?<![A-Za-z0-9])set\s(?:password|passwd|psksecret|passphrase|key|secret|ppk-secret)\s(?:ENC\s)?[\"']?{VALUE}[\"']?{_END}",
        "https://docs.fortinet.com/document/fortigate/latest/cli-reference",
        hard,
    ),
    Place(
        "modem",
        ("cwjap",),
        rf"(?i:AT\+CW[JS]AP(?:_CUR|_DEF)?)=\\?\"[^\"\n]{{1,64}}?\\?\",\\?\"{STRING}(?=\\?\")",
        "https://docs.espressif.com/projects/esp-at/en/latest/esp32/AT_Command_Set/Wi-Fi_AT_Commands.html",
    ),
    Place(
        "wifi-code",
        ("wifi:",),
        r"(?i:WIFI):(?:[A-Z]:(?:[^;\\\n]|\\.){0,64};){0,6}P:\"?(?P<t>(?:[^;\\\n\"]|\\.){4,64})\"?;",
        "https://github.com/zxing/zxing/wiki/Barcode-Contents#wi-fi-network-config-android-ios-11",
    ),
    Place(
        "netsh",
        ("key content",),
        r"(?i:key content)\s{1,24}:\s(?P<t>[^\r\n]{4,63})",
        "https://learn.microsoft.com/windows-server/administration/windows-commands/netsh-wlan",
    ),
    Place(
        "wpa-supplicant",
        ("wpa_passphrase",),
        rf"wpa_passphrase\s(?:\"[^\"\n]{{1,40}}\"|'[^'\n]{{1,40}}'|[^\s\"']{{1,40}})\s[\"']?{VALUE}",
        "https://linux.die.net/man/8/wpa_passphrase",
    ),
)

TRANSCRIPTS = besides((*_PROTOCOLS, *_DEVICES))
"""For the gate."""

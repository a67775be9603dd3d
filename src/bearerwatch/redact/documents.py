"""What programs, tests, documents and statements write of secrets, where no name right before them tells it."""

from __future__ import annotations

from bearerwatch.redact.places import STRING, VALUE, Place, besides, hard, made, phrase

__all__ = ["DOCUMENTS"]

_TELLS = r"(?:(?i:passw|passphrase|pwd|secret|token|api.?key|\botp\b|totp)|(?<![A-Za-z])pw(?![A-Za-z]))"
_ROWS = r"(?P<t>(?:[A-Za-z0-9+/=]{1,80}(?:\r?\n|\\r\\n|\\n|\Z)\s{0,8}){1,400}+)"

_PROGRAMS: tuple[Place, ...] = (
    Place(
        "stdin",
        ("echo ", "--password-stdin", "--with-token"),
        rf"(?i:echo|printf)\s{{1,2}}(?:-n\s|-e\s|[\"']%s(?:\\n)?[\"']\s)?[\"']?{VALUE}[\"']?\s?\|\s?[^\n|]{{0,80}}?(?:--password-stdin|--stdin"
        r"|--passwd-on-stdin|--with-token|--data-file=-|sudo\s-[A-Za-z]{0,3}S|kinit|cryptsetup|smbpasswd\s-s|realm\sjoin|vault\slogin\s-|(?:docker|podman|gh|wrangler)\ssecret\s(?:create|set|put))",
        "https://docs.docker.com/reference/cli/docker/login/#password-stdin",
    ),
    Place(
        "here",
        ("<<<",),
        rf"(?:--password-stdin|--stdin|--with-token|--passwd-on-stdin|chpasswd|passwd|sudo\s-[A-Za-z]{{0,3}}S|kinit|cryptsetup|realm\sjoin)[^\n<]{{0,60}}<<<\s?[\"']?(?:[a-z_][a-z0-9_-]{{0,31}}:)?{VALUE}",
        "https://www.gnu.org/software/bash/manual/html_node/Redirections.html",
    ),
    Place(
        "chpasswd",
        ("chpasswd",),
        r"(?i:echo|printf)\s{1,2}(?:-n\s|-e\s|[\"']%s(?:\\n)?[\"']\s)?[\"']?[A-Za-z_][A-Za-z0-9_.-]{0,31}:(?P<t>[^\"'\n\s\\|]{4,128})[^\n|]{0,4}\|\s?(?:sudo\s)?(?:/usr/sbin/)?chpasswd",
        "https://man7.org/linux/man-pages/man8/chpasswd.8.html",
    ),
    Place(
        "cloud-init",
        ("chpasswd",),
        r"chpasswd:\s{0,20}\n?[^\n]{0,40}list:\s{0,4}\|?\s{1,40}[-\"']?\s?[A-Za-z_][A-Za-z0-9_.-]{0,31}:(?P<t>[^\"'\n\s\\|]{4,128})",
        "https://cloudinit.readthedocs.io/en/latest/reference/modules.html#set-passwords",
    ),
    Place(
        "secure-string",
        ("securestring",),
        rf"(?i:convertto-securestring\s{{1,4}}(?:-(?:string|asplaintext|force)\s{{1,4}}){{0,3}})(?!-)[\"']?{VALUE}",
        "https://learn.microsoft.com/powershell/module/microsoft.powershell.security/convertto-securestring",
    ),
    Place("secure-pipe", ("securestring",), rf"[\"']{STRING}[\"']\s?\|\s?(?i:convertto-securestring)", "as above"),
    Place(
        "credential",
        ("networkcredential", "set-secret"),
        rf"(?i:networkcredential\(\s?[\"'][^\"'\n]{{0,80}}[\"'],\s?|set-secret\s{{1,4}}(?:-name\s{{1,4}}\S{{1,80}}\s{{1,4}}|[A-Za-z][^\s-]{{0,80}}\s{{1,4}})?-secret\s{{1,4}})[\"']{STRING}[\"']",
        "https://learn.microsoft.com/dotnet/api/system.net.networkcredential",
    ),
    Place(
        "add-mask",
        ("::add-mask::",),
        r"::add-mask::(?P<t>[^\r\n\"']{4,2048})",
        "https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#masking-a-value-in-a-log",
    ),
    Place(
        "set-variable",
        ("issecret=true", "task.setsecret"),
        r"##vso\[task\.(?:setvariable\s(?=[^\]\n]{0,200}issecret=true)|setsecret)[^\]\n]{0,200}\](?P<t>[^\r\n\"']{4,2048})",
        "https://learn.microsoft.com/azure/devops/pipelines/process/set-secret-variables",
    ),
    Place(
        "call",
        ("auth",),
        rf"(?<![A-Za-z])(?i:(?:basic|digest|http|proxy)?_?auth)[\"']?\s?[=:]\s?[\[(]\s?[bru]?\\?[\"'][^\"'\n]{{0,100}}[\"'],\s?[bru]?\\?[\"']{STRING}(?=\\?[\"'])",
        "https://docs.python-requests.org/en/latest/user/authentication/",
    ),
    Place(
        "auth-class",
        ("auth(",),
        rf"(?i:(?:http|basic|digest|ntlm|proxy)[a-z_]{{0,12}}auth)\(\s?(?:(?:user(?:name)?|login)=)?[bru]?\\?[\"'][^\"'\n]{{0,100}}[\"'],\s?[bru]?\\?[\"']{STRING}(?=\\?[\"'])",
        "https://docs.python-requests.org/en/latest/user/authentication/",
    ),
    Place(
        "login-call",
        (".login(", ".basic(", "usernamepassword", "passwordauthentication", "basicauth", "changeuserpassword"),
        rf"(?:\.login|\.basic|[Cc]redentials\.basic|UsernamePassword[A-Za-z]{{0,30}}|PasswordAuthentication|[Bb]asicAuth|changeUserPassword)"
        rf"\(\s?\\?[\"'][^\"'\n]{{1,100}}[\"'],\s?\\?[\"']{STRING}(?=\\?[\"'])",
        "https://docs.python.org/3/library/smtplib.html#smtplib.SMTP.login; "
        "https://www.mongodb.com/docs/manual/reference/method/db.changeUserPassword/",
    ),
    Place(
        "connect-call",
        ("connect(", "connection(", "plainauth(", "mysqli(", "pdo(", "__construct("),
        rf"(?:connect|getConnection|PlainAuth|(?:mysqli|PDO)(?:(?:->|::)__construct)?)\(\s?\\?[\"'][^\"'\n]{{0,200}}[\"'],\s?(?:[0-9]{{1,5}},\s?)?"
        rf"\\?[\"'][^\"'\n]{{1,100}}[\"'],\s?\\?[\"']{STRING}(?=\\?[\"'])",
        "https://docs.oracle.com/javase/8/docs/api/java/sql/DriverManager.html; https://www.php.net/manual/pdo.construct.php",
        hard,
    ),
    Place(
        "set-header",
        ("set-header", "set_header", "add-header", "add_header", "setheader", "requestheader"),
        rf"(?i:(?:(?:set|add)[-_]header|setheader|requestheader\s(?:set|add)))\s{{1,4}}[\"']?(?i:[A-Za-z0-9-]{{0,40}}(?:token|key|secret|auth))[\"']?\s{{1,4}}[\"']?{VALUE}",
        "https://docs.haproxy.org/dev/configuration.html#http-request%20set-header",
        hard,
    ),
    Place(
        "invalid-input",
        ("input_value=",),
        r"(?<![^\n])[A-Za-z0-9_.]{0,80}(?i:passw[A-Za-z]{0,6}|passphrase|secret|token|api_?key|authorization)\r?\n[^\n]{0,200}?\[type=[^\n]{1,200}?input_value=b?[\"'](?P<t>[^\"'\r\n]{4,200})",
        "https://docs.pydantic.dev/latest/errors/errors/: the field stands in the line before",
        hard,
    ),
    Place(
        "link",
        ("?t=", "?k=", "?h=", "?hash=", "?invite=", "?link=", "?otp="),
        r"(?i:/[a-z_-]{0,20}(?:invit|verif|reset|magic|confirm|activat|unsubscribe|share|login|signup|join)[a-z_-]{0,20}/?"
        r"\?(?:[tkh]|hash|invite|link|otp))=(?P<t>[A-Za-z0-9_=-]{24,256})",
        "whoever has such a link gets in",
        made,
        "link",
    ),
    Place(
        "conda",
        ("/t/",),
        r"(?i:conda)[^\s/\"']{0,80}/t/(?P<t>[A-Za-z0-9_-]{16,128})/",
        "https://docs.anaconda.com/anaconda-repository/",
        made,
        "conda",
    ),
    Place(
        "composer",
        ("github-oauth", "gitlab-oauth", "gitlab-token"),
        rf"(?i:github-oauth|gitlab-(?:oauth|token))\\?[\"']\s?:\s{{0,8}}\{{\s{{0,40}}\\?[\"'][^\"']{{1,80}}[\"']\s?:\s?\\?[\"']{VALUE}",
        "https://getcomposer.org/doc/articles/authentication-for-private-packages.md",
        made,
        "composer",
    ),
    Place(
        "user-and-password",
        ("userpwd", "bundle_"),
        rf"(?:USERPWD|BUNDLE_[A-Z0-9_]{{1,60}}__[A-Z]{{2,12}})[\"']?\s?(?:=>|[:=,])\s?[\"']?[^\s:\"'/]{{1,80}}:{VALUE}",
        "https://curl.se/libcurl/c/CURLOPT_USERPWD.html, https://bundler.io/man/bundle-config.1.html",
        hard,
    ),
    Place(
        "sbt",
        ("credentials(",),
        rf"Credentials\(\s?(?:\"[^\"\n]{{0,80}}\",\s?){{3}}\"{STRING}(?=\")",
        "https://www.scala-sbt.org/1.x/docs/Publishing.html#Credentials",
    ),
    Place(
        "station",
        ("wifi.", "wlan.connect("),
        rf"(?i:wifi\.(?:begin|sta\.config|connect|softap)|wlan\.connect)\(\s?\\?[\"'][^\"'\n]{{1,40}}[\"'],\s?\\?[\"']{STRING}(?=\\?[\"'])",
        "https://docs.espressif.com/projects/arduino-esp32/en/latest/api/wifi.html",
    ),
    Place(
        "acl",
        ("setuser",),
        rf"(?i:acl[\"']?\s[\"']?setuser)[^\n]{{0,120}}?\s[\"']?>{VALUE}",
        "https://redis.io/docs/latest/commands/acl-setuser/",
    ),
    Place(
        "filled-with",
        ("passw", "secret", "token", "pwd"),
        rf"{_TELLS}[^\n\"']{{0,20}}[\"'/i)]{{1,5}},\s?(?:with:|with\s=>|value:|\{{\s?target:\s?\{{\s?value:)\s?[\"'`]{STRING}(?=[\"'`])",
        "https://rubydoc.info/github/teamcapybara/capybara/Capybara/Node/Actions#fill_in-instance_method; "
        "https://testing-library.com/docs/dom-testing-library/api-events/",
        hard,
        beside=(",",),
    ),
    Place(
        "typed",
        ("passw", "secret", "token", "pw"),
        rf"{_TELLS}[^\n]{{0,60}}?\)\s{{0,4}}\.(?:type|fill|send_keys|sendKeys|setValue|set_value|fill_in|press_sequentially|pressSequentially|set|addValue|typeText|enterText|with_text)\(\s?[\"'`]{STRING}(?=[\"'`])",
        "https://docs.cypress.io/api/commands/type; https://playwright.dev/docs/api/class-locator#locator-fill; https://www.selenium.dev/documentation/webdriver/elements/interactions/",
        hard,
        beside=("(",),
    ),
    Place(
        "typed-into",
        ("passw", "secret", "token", "pwd"),
        rf"(?<![A-Za-z])(?i:type|fill|enter|input|change)[A-Za-z_]{{0,16}}\([^\n]{{0,60}}?{_TELLS}[^\n\"'`()]{{0,16}}[\"'`]?\s?\)?,\s?[\"'`]{STRING}(?=[\"'`])",
        "https://testing-library.com/docs/user-event/utility#type; https://playwright.dev/docs/api/class-page#page-fill",
        hard,
        beside=("(",),
    ),
    Place(
        "robot",
        ("input password",),
        rf"(?i:input\spassword)(?:\s{{2,16}}|\t)\S{{1,120}}(?:\s{{2,16}}|\t){VALUE}",
        "https://robotframework.org/SeleniumLibrary/SeleniumLibrary.html#Input%20Password",
    ),
    Place(
        "robot-text",
        ("passw", "token", "secret"),
        rf"(?i:(?:input|type|fill)\s(?:text|secret))(?:\s{{2,16}}|\t)\S{{0,60}}?(?i:passw|token|secret)\S{{0,60}}(?:\s{{2,16}}|\t){VALUE}",
        "https://robotframework.org/SeleniumLibrary/SeleniumLibrary.html#Input%20Text",
        beside=("  ", "\t"),
    ),
    Place(
        "steps",
        ("passw", "secret", "token", "api key"),
        rf"(?i:type|enter|fill|input|typing|entering|set|provide)(?:s|ed)?\s[\"'`]{STRING}[\"'`]"
        rf"\s(?i:in|into|in to|for|as|on)\s(?:(?i:the|my|a)\s)?[\"'`]?[A-Za-z _-]{{0,20}}?{_TELLS}",
        "https://cucumber.io/docs/gherkin/reference/",
        beside=('"', "'", "`"),
    ),
    Place(
        "expect",
        ("assw",),
        r"(?i:assw|passphrase)[^\n]{0,40}(?:\r?\n[^\n]{0,40}?)?(?<![A-Za-z])(?:send(?:line)?|exp_send)[\s(]{1,2}(?:--\s)?[bru]?[\"'](?P<t>[^\"'\n\\]{4,128})",
        "https://linux.die.net/man/1/expect; https://pexpect.readthedocs.io/",
        beside=("send",),
    ),
)

_DOCUMENTS: tuple[Place, ...] = (
    Place(
        "ppk",
        ("private-",),
        rf"(?i:private-lines):\s[0-9]{{1,3}}(?:\r?\n|\\r\\n|\\n){_ROWS}",
        "https://the.earth.li/~sgtatham/putty/latest/htmldoc/AppendixC.html",
        lambda *_: True,
        "pem",
    ),
    Place("ppk-mac", ("private-",), r"(?i:private-mac):\s(?P<t>[0-9a-f]{40,64})", "as above", made, "pem"),
    Place(
        "ssh2",
        ("private key ----",),
        rf"PRIVATE KEY ----(?:\r?\n|\\n)(?:[A-Za-z-]{{1,30}}: [^\n]{{0,200}}\n){{0,5}}{_ROWS}",
        "RFC 4716, of private keys",
        lambda *_: True,
        "pem",
    ),
    Place(
        "openvpn",
        ("static key", "client key", "server key"),
        rf"(?i:OpenVPN (?:static|tls-crypt-v2 (?:client|server)) key(?: V1)?)-----(?:\r?\n|\\n)\s{{0,8}}{_ROWS}",
        "https://openvpn.net/community-resources/reference-manual-for-openvpn-2-6/",
        lambda *_: True,
        "pem",
    ),
    Place(
        "wireguard",
        ("privatekey", "presharedkey", "preshared key"),
        r"(?i:private|preshared)\s?(?i:key)\s?[=:]\s?(?P<t>[A-Za-z0-9+/]{20,}=)",
        "https://man7.org/linux/man-pages/man8/wg.8.html",
        made,
        "wireguard",
    ),
    Place(
        "hex-key",
        ("private key",),
        r"(?i:private key)s?[\"']?(?:\s?[:=]|\sis)?\s{0,4}[\"']?(?P<t>(?:0x)?[0-9a-fA-F]{64})(?![0-9a-fA-F])",
        "https://ethereum.org/en/developers/docs/accounts/",
        made,
        "hex-key",
    ),
    Place(
        "numbered-key",
        ("private key",),
        r"\([0-9]{1,3}\)\s{1,2}(?P<t>0x[0-9a-fA-F]{64})(?![0-9a-fA-F])",
        "https://hardhat.org/hardhat-network/docs/reference, Ganache",
        lambda text, start, _end: "rivate" in text[:start],
        "hex-key",
    ),
    Place(
        "mnemonic",
        ("mnemonic", "phrase", "seed words"),
        r"(?i:mnemonic|(?:seed|recovery|secret|backup|wallet)[ _-](?:recovery[ _-])?phrase|seed words)"
        r"[\"']?\s?(?:[:=]|\sis:?)\s{0,4}[\"'`]?(?P<t>(?:[a-z]{3,8} ){11,23}[a-z]{3,8})(?![a-z ])",
        "https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki",
        phrase,
        "mnemonic",
    ),
    Place(
        "masked-then-shown",
        ("*** (", "redacted] (", "masked] (", "filtered] (", "hidden] ("),
        r"(?:\*{3}|\[(?i:redacted|masked|filtered|hidden)\])\s\((?i:was|is|now|formerly|from|raw|full|real|actually)"
        r"(?:\s|[:=]\s?)[\"'`]?(?P<t>[^\s()\"'`]{12,4096})[\"'`]?\)",
        "as people write it who mask a value, and show it behind the mask",
        made,
        "named",
    ),
    Place(
        "value-first",
        ('"value', "'value"),
        r"[\"']value[\"']\s?:\s?[\"'](?P<t>[^\"'\r\n]{8,4096})[\"']\s?,\s{0,12}[\"'](?:name|key)[\"']\s?:\s?[\"']"
        r"(?i:[A-Za-z0-9._-]{0,40}(?:token|secret|password|api[_-]?key|authorization|session[_-]?id))[\"']",
        "http://www.softwareishard.com/blog/har-12-spec/#headers, whose members have no order",
        made,
        "named",
    ),
    Place(
        "encoded",
        ("encoded",),
        r"(?:api_key|apiKey)\\?\"\s?:\s?\\?\"[^\"\n]{1,200}\",\s{0,12}\\?\"encoded\\?\"\s?:\s?\\?\"(?P<t>[A-Za-z0-9+/]{20,}={0,2})",
        "https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-security-create-api-key",
        made,
        "api-key",
    ),
)

_STATEMENTS: tuple[Place, ...] = (
    Place(
        "sql-password",
        ("password(",),
        rf"(?<![A-Za-z_])(?i:password|old_password)\(\s?\\?[\"']{STRING}(?=\\?[\"'])",
        "https://mariadb.com/docs/server/reference/sql-functions/secondary-functions/encryption-hashing-and-compression-functions/password",
    ),
    Place(
        "sql-crypt",
        ("crypt(",),
        rf"(?i:pgp_sym_(?:en|de)crypt(?:_bytea)?|aes_(?:en|de)crypt|des_(?:en|de)crypt)\((?:'[^'\n]{{0,200}}'|[^'\n,()]{{1,80}}|[a-z_]{{1,20}}\([^'\n()]{{0,80}}\)),\s?\\?'{STRING}(?=\\?')",
        "https://www.postgresql.org/docs/current/pgcrypto.html; https://dev.mysql.com/doc/refman/en/encryption-functions.html",
    ),
    Place(
        "sql-salt",
        ("crypt(",),
        rf"(?i:crypt)\(\s?\\?'{STRING}\\?',\s?(?i:gen_salt)",
        "https://www.postgresql.org/docs/current/pgcrypto.html",
    ),
)

DOCUMENTS = besides((*_PROGRAMS, *_DOCUMENTS, *_STATEMENTS))
"""For the gate."""

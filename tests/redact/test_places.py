"""Secrets told by the place they stand in, and what stands in such places and is none."""

from __future__ import annotations

import secrets
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.redact import gate, redact_text
from bearerwatch.redact.commands import COMMANDS, TABLE
from bearerwatch.redact.exact import BESIDES
from fakes import leaked, opaque

# § stands for a secret, ¶ for one in hex, ‡ for a code that works once, ◊ for words of a mnemonic.
LEAKS = [
    "mysql -uroot -p§ shop",
    "['mysqldump', '-h', 'db', '-p§']",
    'type=EXECVE msg=audit(1:2): argc=3 a0="mysqladmin" a1="-uroot" a2="-p§" a3="ping"',
    "sshpass -p § ssh root@10.0.0.7",
    "sshpass -p '§' ssh root@10.0.0.7",
    "ipmitool -I lanplus -H h -U admin -P § power status",
    "mosquitto_pub -h b -u u -P § -t x -m y",
    "snmpwalk -v3 -u u -l authPriv -a SHA -A § -x AES -X § h",
    "snmpwalk -v2c -c § 10.0.0.1 system",
    "htpasswd -b /etc/nginx/.htpasswd bob §",
    "htpasswd -bnBC 10 bob §",
    "nmcli device wifi connect home password §",
    "nmcli c modify home wifi-sec.psk §",
    "http -a bob:§ https://api",
    "https -A bearer -a § api.example.com/me",
    "wget --http-password=§ https://x",
    "curl -u §: https://api.stripe.com/v1/charges",
    "curl --user §: https://api.stripe.com/v1/charges",
    "curl --proxy-user bob:§ https://x",
    "smbclient //h/share -U bob%§",
    "net use Z: \\\\host\\share § /user:bob",
    "net use \\\\host\\share /user:bob §",
    "psexec \\\\host -u bob -p § cmd",
    "xfreerdp /u:bob /p:§ /v:h",
    "rdesktop -u bob -p § h",
    "ldapsearch -x -D cn=admin -w § -b dc=x",
    "openssl rsa -in k.pem -passin pass:§",
    "openssl enc -aes-256-cbc -k § -in a",
    "zip -P § a.zip b",
    "7z a -p§ a.7z b",
    "unrar x -p§ a.rar",
    "gpg --batch --passphrase § -d x",
    "vault login §",
    "vault kv put secret/app api=§ ",
    "docker login -u bob -p § registry.example.com",
    "skopeo copy --src-creds bob:§ docker://a docker://b",
    "podman pull --creds bob:§ quay.io/x",
    "az login --service-principal -u app -p § --tenant t",
    "aws configure set aws_secret_access_key §",
    "npm config set //registry.npmjs.org/:_authToken §",
    "poetry config http-basic.acme bob §",
    "kubectl create secret generic s --from-literal=k=§",
    "kubectl create secret docker-registry s --docker-password=§",
    "cmdkey /add:h /user:bob /pass:§",
    "lftp -u bob,§ ftp.example.com",
    "sqlplus scott/§@orcl",
    "expdp system/§@db schemas=x",
    "CONNECT scott/§@orcl",
    "jdbc:oracle:thin:scott/§@h:1521:orcl",
    'sqlcmd -S h -U sa -P § -Q "select 1"',
    "PGPASSWORD=§ psql -h db",
    "mongo -u bob -p § --authenticationDatabase admin",
    "redis-cli -a § ping",
    "influx -username bob -password § -execute x",
    "cqlsh -u c -p § h",
    "rabbitmqctl add_user bob §",
    "rabbitmqctl change_password bob §",
    "useradd -m -p § bob",
    "echo 'bob:§' | chpasswd",
    "echo § | passwd --stdin bob",
    'ConvertTo-SecureString "§" -AsPlainText -Force',
    'ConvertTo-SecureString -String "§" -AsPlainText -Force',
    'Set-Secret -Name x -Secret "§"',
    "setx API_TOKEN §",
    "ENV API_SECRET §",
    "ENV DB_PASSWORD §",
    "ARG NPM_TOKEN=§",
    "::add-mask::§",
    "##vso[task.setvariable variable=apiToken;issecret=true]§",
    "::set-output name=token::§",
    'echo "token=§" >> $GITHUB_OUTPUT',
    "PASS §",
    "a1 LOGIN bob §",
    'a1 LOGIN "bob" "§"',
    "AUTH default §",
    "AUTH §",
    "HELLO 3 AUTH default §",
    "PRIVMSG NickServ :IDENTIFY §",
    "PRIVMSG NickServ :IDENTIFY bob §",
    "Authorization: SharedKey acct:§=",
    "snmp-server community § RO",
    "enable secret 0 §",
    "enable secret 5 $1$mERr$§",
    "username bob password 0 §",
    "username bob privilege 15 secret §",
    "key 7 §",
    "neighbor 10.0.0.1 password §",
    "pre-shared-key §",
    "pre-shared-key address 1.2.3.4 key §",
    "wpa-psk ascii 0 §",
    "crypto isakmp key § address 1.2.3.4",
    "tacacs-server key §",
    'encrypted-password "§"',
    'AT+CWJAP="home","§"',
    "WIFI:T:WPA;S:home;P:§;;",
    "    Key Content            : §",
    'psk="§"',
    "machine api.example.com login bob password §",
    "db.example.com:5432:shop:bob:§",
    "bob:$apr1$abcdefgh$§",
    "root:$6$saltsalt$§:19000:0:99999:7:::",
    "bob:§@tcp(db:3306)/shop",
    'db.auth("bob", "§")',
    'db.createUser({user: "bob", pwd: "§"})',
    "INSERT INTO users (email, password) VALUES ('a@x', '§')",
    "UPDATE users SET password = '§' WHERE id = 5",
    "UPDATE users SET token = '§' WHERE id = 5",
    "ALTER USER bob WITH PASSWORD '§'",
    "ALTER ROLE bob PASSWORD '§'",
    "SET PASSWORD FOR 'bob'@'%' = PASSWORD('§')",
    "SET PASSWORD FOR 'bob'@'%' = '§'",
    "pgp_sym_encrypt(ssn, '§')",
    "crypt('§', gen_salt('bf'))",
    "UPDATE users SET token = ? WHERE id = ? [args: ('§', 5)]",
    "UPDATE users SET password=$1 WHERE id=$2 parameters: $1 = '§', $2 = '5'",
    "requests.get(url, auth=('bob', '§'))",
    "HTTPBasicAuth('bob', '§')",
    'And I fill in "Password" with "§"',
    "page.fill('#password', '§')",
    "cy.get('input[name=password]').type('§')",
    'driver.find_element(By.ID, "password").send_keys("§")',
    "Input Password    id=pw    §",
    'type "§" into password field',
    '---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: "x"\n§§\n§§\n---- END SSH2 ENCRYPTED PRIVATE KEY ----',
    "PrivateKey = §=",
    "PresharedKey = §=",
    "| name | token |\n|---|---|\n| bob | § |",
    "<tr><th>API key</th></tr><tr><td>§</td></tr>",
    "<td>API key</td><td><code>§</code></td>",
    "user,password\nbob,§",
    '"api_key":"x1","encoded":"§=="',
    '["mysqldump","-u","root","-p§","shop"]',
    'Running: /usr/bin/mysql.exe -h db -u root -p"§" -e "select 1"',
    "['sshpass', '-p', '§', 'ssh', 'root@10.0.0.7']",
    'type=EXECVE msg=audit(1:2): argc=4 a0="sshpass" a1="-p" a2="§" a3="ssh"',
    '["docker", "login", "-u", "ci", "-p", "§", "registry.example.com"]',
    '["redis-cli", "-h", "cache", "-a", "§", "ping"]',
    '["curl", "-sS", "-u", "§:", "https://api.example.com/v1/charges"]',
    "mysql -u root \\n  -p§ \\n  shop",
    "oc login -u bob -p § https://api.cluster:6443",
    "helm registry login -u bob -p § registry.example.com",
    "evil-winrm -i 10.0.0.7 -u bob -p §",
    "poetry config pypi-token.pypi §",
    "gh secret set DEPLOY_KEY §",
    "heroku config:set SESSION_SECRET=§",
    "vault operator unseal §",
    "keytool -list -keystore x.jks -storepass §",
    "openssl pkcs12 -export -in c.pem -passout pass:§ -out c.p12",
    "openssl s_client -pass pass:§",
    "echo § | docker login --username bob --password-stdin",
    "gh auth login --with-token <<< §",
    "schannel: runas; psexec \\h -u bob -p § cmd",
    "C: USER bob\nS: 331 Please specify the password.\nC: PASS §",
    "USER bob\r\nPASS §\r\n",
    "+OK ready\n> USER bob\n+OK\n> PASS §",
    "authinfo user bob pass §",
    "*2\r\n$4\r\nAUTH\r\n$24\r\n§\r\n",
    "*3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$24\r\n§\r\n",
    '"AUTH" "default" "§"',
    "/msg NickServ identify §",
    "snmp-server host 10.0.0.9 version 2c §",
    "rocommunity § 10.0.0.0/8",
    "radius-server host 10.0.0.5 auth-port 1812 acct-port 1813 key §",
    " password 7 §",
    "ip ospf message-digest-key 1 md5 §",
    "ppp chap password 0 §",
    "set psksecret ENC §",
    "set psksecret §",
    'secret "§"; ## SECRET-DATA',
    'AT+CWJAP_CUR=\\"home\\",\\"§\\"',
    "wpa_passphrase home §",
    "machine api.example.com\n  login bob\n  password §",
    "default login bob password §",
    "ci:§@rabbit.internal:5672",
    "default:§@cache:6379",
    "htpasswd: bob:$2y$10$§§x",
    "HttpNtlmAuth('CORP\\bob', '§')",
    'httpx.get(url, auth=("bob", "§"))',
    '"auth": ["bob", "§"]',
    "await page.getByLabel('Password').fill('§')",
    "cy.get('[data-test=password]').clear().type('§')",
    "userEvent.type(screen.getByLabelText(/password/i), '§')",
    "Input Text    id=password    §",
    "Fill Text    input[name=token]    §",
    "user types '§' into the password field",
    'expect "assword:"\nsend "§\r"',
    "child.expect('Password:')\nchild.sendline('§')",
    'new NetworkCredential("bob", "§")',
    '"§" | ConvertTo-SecureString -AsPlainText -Force',
    "chpasswd:\n  list: |\n    root:§",
    "INSERT INTO users (email, password, name) VALUES ('a@x', '§', 'Ada'), ('b@x', '§', 'Bob')",
    "INSERT INTO `users` (`email`,`api_key`) VALUES ('it''s', '§')",
    "insert into authtoken_token (key, user_id) values ('§', 7)",
    "INSERT INTO users (email, password) VALUES (%s, %s)\n[parameters: ('a@x', '§')]",
    'INSERT INTO users (email, password) VALUES ($1, $2) bindings: ["a@x", "§"]',
    "execute <unnamed>: UPDATE users SET token = $2 WHERE id = $1\nDETAIL:  parameters: $1 = '5', $2 = '§'",
    "SELECT * FROM sessions WHERE session_token = %s; args=('§',)",
    "aes_encrypt(name, '§')",
    "| id | user | api_key |\n+----+------+---------+\n| 1 | bob | § |\n| 2 | ada | § |",
    " id | token\n----+------\n 7 | §\n(1 row)",
    "id;user;password\n1;bob;§\n2;ada;§",
    "id\tapi_token\n1\t§",
    '"id","api_key"\n"7","§"',
    "<table><tr><th>User</th><th>API key</th></tr><tr><td>bob</td><td>§</td></tr></table>",
    '<tr><td>Token</td><td class="v">§</td></tr>',
    "Private Keys\n==================\n(0) 0x¶\n(1) 0x¶",
    "Private key: 0x¶",
    "Private key is ¶",
    "mnemonic: ◊",
    'Seed phrase: "◊"',
    '"mnemonic":"◊"',
    "Recovery codes:\n  ‡\n  ‡\n  ‡\n  ‡",
    '"backup_codes": ["‡", "‡", "‡"]',
    "-----BEGIN OpenVPN Static key V1-----\n¶\n¶\n¶\n-----END OpenVPN Static key V1-----",
    "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 2\n§§\n§§\nPrivate-MAC: ¶",
    'UsernameToken Username="bob", PasswordDigest="§=", Created="2026"',
    'Authorization: Digest username="bob", realm="x", response="¶"',
]

CLEAN = [
    "mysql -u root -p shop",
    "mysql -p -h db shop",
    "mysqldump -u root -p --all-databases > x.sql",
    "docker run -p 3306:3306 --name mysql -e MYSQL_ROOT_PASSWORD=$X mysql",
    "docker run --name mysql -p3306:3306 mysql:8",
    "ssh -p 2222 root@host mysql -e 'select 1'",
    "mysql -u root -p$MYSQL_PASSWORD shop",
    'mysql -u root -p"${PW}" shop',
    "mysql -u root -pyour_password shop",
    "sshpass -p password ssh host",
    'sshpass -p "$SSHPASS" ssh host',
    "sshpass -p <password> ssh host",
    "usage: sshpass [-f|-d|-p|-e] [-hV] command parameters",
    "mkdir -p src/main/java && mysql --version",
    "ipmitool -H host -U user -P password chassis status",
    "mosquitto_sub -h broker -p 1883 -t x",
    "scp -P 22 sqlcmd.tar host:/tmp",
    "sqlcmd -S host -U sa -P '<YourStrong@Passw0rd>'",
    "sqlcmd -S host -U sa -P $(SA_PASSWORD)",
    "snmpwalk -v2c -c public localhost system",
    "snmpget -v 2c -c private 10.0.0.1 sysDescr.0",
    "htpasswd -b [-cmBdpsDv] passwordfile username password",
    "htpasswd -c /etc/nginx/.htpasswd bob",
    'htpasswd -bn "$USER" "$PASS"',
    "nmcli device wifi connect SSID password PASSWORD",
    "http -a username:password https://api.example.com",
    "curl -u user: https://x",
    'curl -u "$KEY:" https://x',
    "curl --user name:password https://x",
    "curl -u '<API_KEY>:' https://api.stripe.com",
    "net use Z: \\\\host\\share /user:bob *",
    "net use Z: \\\\host\\share /persistent:yes",
    "xfreerdp /u:bob /p:%PASSWORD% /v:h",
    "ldapsearch -x -W -D cn=admin -b dc=example,dc=com",
    'ldapsearch -x -D cn=admin -w "$PW" -b dc=x',
    "ldapsearch -w password",
    "openssl rsa -in k.pem -passin env:PW",
    "openssl req -x509 -newkey rsa:4096 -passout file:/etc/pw",
    "openssl s_client -connect host:443",
    "openssl rsa -passin stdin",
    "zip -r -P backup.zip dir",
    "7z x archive.7z -pSECRET",
    "7z a -p$PW a.7z",
    "gpg --passphrase-fd 0 --batch",
    "vault login -method=oidc",
    "vault login <token>",
    "vault kv get secret/app",
    "vault kv put secret/app ttl=30m",
    "docker run -p 8080:80 nginx",
    "docker login -u bob --password-stdin registry.example.com",
    "docker login -p $TOKEN",
    "npm config set registry https://registry.npmjs.org/",
    "git config set user.name bob",
    "aws configure set region eu-west-1",
    "kubectl create secret generic s --from-literal=k=$VALUE",
    "kubectl create secret generic s --from-file=key=./key.pem",
    "lftp -u user,password ftp.example.com",
    "sqlplus / as sysdba",
    "sqlplus scott/tiger",
    "connect to npm scope/react@18.2.0",
    "CONNECT example.com:443 HTTP/1.1",
    "connect ECONNREFUSED 127.0.0.1:5432",
    "mongo --port 27017 -p",
    "mongo -p 27018",
    "redis-cli -a $REDIS_PASSWORD ping",
    "redis-cli -a yourpassword",
    "rabbitmqctl add_user username password",
    "rabbitmqctl add_user bob 'PASSWORD'",
    "ps -u user -p 4711",
    "ps aux | grep mysql -p",
    "ENV TOKEN_EXPIRY 3600",
    "ENV PATH /usr/local/bin",
    "ENV API_KEY_FILE /run/secrets/api",
    'setx PATH "%PATH%;C:\\bin"',
    "ConvertTo-SecureString $pw -AsPlainText -Force",
    'ConvertTo-SecureString "<password>" -AsPlainText -Force',
    "Set-Secret -Name x -Secret $value",
    "::add-mask::$TOKEN",
    "::add-mask::***",
    "##vso[task.setvariable variable=apiToken;issecret=true]$(token)",
    "##vso[task.setvariable variable=region]eu-west-1",
    "PASS src/app.test.ts",
    "PASS tests/auth/token_store2.spec.ts",
    "PASS  packages/x/login.test.js (5.3 s)",
    "--- PASS: TestLogin (0.00s)",
    "PASS",
    "ok 12 PASS test_login_with_token2",
    "[PASS] 12 checks",
    "RESULT: PASS 14/14",
    "PASS required for user",
    "a1 LOGIN failed",
    "2026 LOGIN user bob",
    "user 42 LOGIN ok",
    "250-AUTH PLAIN LOGIN CRAM-MD5",
    "250 AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER",
    "AUTH LOGIN",
    "AUTH PLAIN",
    "AUTH LOGIN attempted",
    "AUTH PLAIN rejected",
    "AUTH failed for user",
    "AUTH default password",
    "NOAUTH Authentication required.",
    "auth service started",
    "NickServ IDENTIFY <password>",
    "nickserv identify failed",
    "snmp-server community public RO",
    "snmp-server enable traps",
    "community support forum",
    "community edition 2026 installed",
    "enable secret rotation",
    "enable password reset",
    "username bob password reset",
    "username admin password secret",
    "key 7 days",
    "key 5 of 10 loaded",
    "password 0 of 3",
    "neighbor 10.0.0.1 password <removed>",
    "pre-shared-key <key>",
    "WIFI:T:nopass;S:guest;;",
    "Key Content : Absent",
    "machine learning login form password field",
    "machine host login user password password",
    "foo.c:5432:12:error: x",
    "db:5432:shop:app:*",
    "root:*:19000:0:99999:7:::",
    "root:!:19000:0:99999:7:::",
    "root:x:0:0:root:/root:/bin/bash",
    "user:password@tcp(localhost:3306)/db",
    'db.auth("user", "password")',
    "INSERT INTO users (name, token_count) VALUES ('bob', 5)",
    "INSERT INTO users (email, password) VALUES (?, ?)",
    "INSERT INTO users (email, password) VALUES ('a@x', '[password]')",
    "INSERT INTO users (email, password) VALUES ('a@x', NULL)",
    "INSERT INTO flags (name, key) VALUES ('a', 'checkout-v2')",
    "SELECT * FROM users WHERE id = ? [args: (5,)]",
    "UPDATE users SET name = ? WHERE token_id = ? [parameters: ('bob', 5)]",
    "SET PASSWORD = PASSWORD('password')",
    "password hashing/argon2 is used",
    "decrypt('file', 'name.txt')",
    "requests.get(url, auth=('user', 'pass'))",
    "requests.get(url, auth=(user, password))",
    "HTTPBasicAuth('user', 'password')",
    'And I fill in "Password" with "<password>"',
    "page.fill('#username', 'bob.miller1')",
    "cy.get('input[name=password]').type(Cypress.env('PW'))",
    "cy.get('input[name=password]').should('be.visible')",
    'driver.find_element(By.ID, "password").send_keys(password)',
    'expect "password:"; send "$pw\\r"',
    "Input Password    id=pw    ${PASSWORD}",
    "| name | token_count |\\n|---|---|\\n| bob | 5000012 |",
    "| name | token |\\n|---|---|\\n| bob | none |",
    "| token | type |\\n|---|---|\\n| AccessToken | bearer |",
    "user,password\\nbob,required",
    "token,\\nuser_agent2,\\nip",
    "id,token_type,expires_in\\n7,bearer,3600",
    "<td>API key</td><td>required</td>",
    "<th>Token</th><th>Use</th></tr><tr><td>AccessToken</td><td>login</td>",
    "mnemonic: the quick brown fox jumps over the lazy dog and then sleeps well",
    "recovery codes: 3 left",
    "backup code used at 2026-03-01 10:00",
    "Private key: 4096 bits",
    "PrivateKey = <base64>",
    "private key file /etc/ssl/key.pem",
    '"api_key":"x","encoded":"<base64>"',
]


def _of_people() -> str:
    return f"Aq7{opaque(7)}&{opaque(2)}3"


def _filled(text: str, secret: str) -> tuple[str, list[str]]:
    """*text* with secrets in it, and those."""
    made = {
        "§": secret,
        "¶": secrets.token_hex(32),
        "‡": f"{opaque(4, string.ascii_lowercase)}7-{opaque(4, string.digits)}k",
        "◊": " ".join(opaque(5, string.ascii_lowercase) for _ in range(12)),
    }
    for sign, value in made.items():
        text = text.replace(sign, value)
    return text, [value for value in made.values() if value in text]


def _same_by_both_gates(text: str) -> None:
    looks, kinds = gate.PREFILTER(text), gate.kinds_of(text)
    assert looks is not None
    forms = [number for number in looks if number < gate.ENCODED]
    assert gate.by_search(text, kinds, forms) == gate.by_search(text, kinds)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    assert gate.PREFILTER.ready(), "the accel extra belongs to the test environment"


@pytest.mark.parametrize("template", LEAKS)
def test_what_a_place_tells_is_found(template: str) -> None:
    text, gone = _filled(template, f"aB3{opaque(21)}")
    clean = redact_text(text)
    assert [value for value in gone if value in clean or leaked(value, clean)] == []
    assert redact_text(clean) == clean
    _same_by_both_gates(text)


@pytest.mark.parametrize("template", LEAKS)
def test_what_people_choose_is_masked_once_and_for_all(template: str) -> None:
    text, _ = _filled(template, _of_people())
    clean = redact_text(text)
    assert redact_text(clean) == clean
    _same_by_both_gates(text)


@pytest.mark.parametrize("text", CLEAN)
def test_what_only_stands_in_such_a_place_stays(text: str) -> None:
    assert redact_text(text) == text
    _same_by_both_gates(text)


@settings(max_examples=150)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(LEAKS),
            st.sampled_from(CLEAN),
            st.sampled_from([word for word, _, _ in BESIDES]),
            st.sampled_from([" ", "\n", "'", '"', "=", "(", ", ", "aB3dE5fG7hI9jK1", "Hunter2x"]),
        ),
        max_size=6,
    )
)
def test_both_gates_find_the_same_places(pieces: list[str]) -> None:
    _same_by_both_gates(
        "".join(_filled(piece, "aB3dE5fG7hI9jK1lM3n")[0] for piece in pieces).encode("ascii", "replace").decode()
    )


def test_a_password_of_a_command_is_masked_and_what_is_beside_it_stays() -> None:
    secret = _of_people()
    assert redact_text(f"mysql -h db -uroot -p{secret} shop") == "mysql -h db -uroot -p[password] shop"
    assert redact_text(f"['sshpass', '-p', '{secret}', 'ssh']") == "['sshpass', '-p', '[password]', 'ssh']"


def test_the_columns_of_a_statement_tell_which_value_is_a_secret() -> None:
    secret = _of_people()
    clean = redact_text(f"INSERT INTO users (email, password, name) VALUES ('a1@x.org', '{secret}', 'Ada99')")
    assert clean == "INSERT INTO users (email, password, name) VALUES ('a1@x.org', '[password]', 'Ada99')"


def test_the_order_of_parameters_tells_which_one_is_a_secret() -> None:
    secret, other = f"aB3{opaque(21)}", f"aB3{opaque(21)}"
    clean = redact_text(f"UPDATE users SET token = ? WHERE etag = ? [parameters: ('{secret}', '{other}')]")
    assert secret not in clean
    assert other in clean


def test_every_command_says_where_it_comes_from() -> None:
    assert len({command.id for command in TABLE}) == len(TABLE)
    assert all(command.source and "(?P<t>" in command.option for command in TABLE)
    assert all(word == word.lower() for word, _, _ in COMMANDS)

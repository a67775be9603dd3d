"""Texts in which HTTP shows a credential: ``§`` is where it stands, and what «so» stands has to stay."""

from __future__ import annotations

__all__ = ["BASIC", "COOKIES", "DUMPS", "SCHEMES", "TOOLS", "URLS"]

Carrier = tuple[str, str]

SCHEMES: list[Carrier] = [
    *(
        (f"{scheme}", f"«GET /orders» Authorization: {scheme} § «200 OK»")
        for scheme in ("Bearer", "bearer", "BEARER", "BeArEr")
    ),
    *(
        (f"{scheme}", f"«GET /orders» Authorization: {scheme} § «200 OK»")
        for scheme in ("Token", "token", "TOKEN", "JWT", "jwt")
    ),
    *(
        (f"{scheme}", f"«x=1» authorization: {scheme} §")
        for scheme in ("DPoP", "dpop", "DPOP", "GNAP", "PoP", "Key", "ApiKey")
    ),
    *(
        (f"{scheme}", f"AUTHORIZATION: {scheme} §\r\n«Accept: */*»")
        for scheme in ("APIKEY", "Session", "X-Custom-Auth", "Api-Key")
    ),
    *((f"{scheme}", f"Authorization: {scheme} §") for scheme in ("Acme1", "MAC", "GoogleLogin", "OAuth", "Bearer  ")),
    ("none", "Authorization: § «next»"),
    ("none-lower", "authorization:§"),
    ("none-tab", "Authorization:\t§"),
    ("bearer-alone", "«got header» Bearer §"),
    ("bearer-alone-lower", "«value was» 'bearer §'"),
    ("bearer-colon", "Authorization: Bearer: §"),
    ("bearer-equals", "Bearer=§ «status=401»"),
    ("bearer-tab", "Authorization: Bearer\t§"),
    ("bearer-twice", "Authorization: Bearer Bearer §"),
    ("bearer-quoted", 'Authorization: Bearer "§"'),
    ("bearer-angle", "Authorization: Bearer <§>"),
    ("bearer-braces", "Authorization: Bearer {§}"),
    ("bearer-comma", "Authorization: Bearer,§"),
    ("bearer-plus", "Authorization=Bearer+§&«x=1»"),
    ("token-param", 'Authorization: Token token="§", «nonce="x1"»'),
    ("token-param-bare", "Authorization: Token token=§"),
    ("oauth1", 'Authorization: OAuth oauth_consumer_key="c1", oauth_token="§", oauth_version="1.0"'),
    ("bearer-param", 'Authorization: Bearer access_token="§"'),
    ("aws-sig", "X-Amz-Security-Token: §\n«X-Amz-Date: 20260301T120000Z»"),
    ("proxy", "Proxy-Authorization: Bearer § «via proxy»"),
    ("proxy-cgi", "HTTP_PROXY_AUTHORIZATION=Bearer §"),
    ("x-forwarded", "X-Forwarded-Authorization: Bearer §"),
    ("x-original", "X-Original-Authorization: §"),
    ("subprotocol", "Sec-WebSocket-Protocol: «base64url.bearer.authorization.k8s.io».§"),
    ("subprotocol-list", "Sec-WebSocket-Protocol: «graphql-ws», bearer, §"),
    ("dpop-proof", "DPoP: § «POST /token»"),
    ("goog-iap", "X-Goog-Iap-Jwt-Assertion: §"),
    ("amzn-oidc", "x-amzn-oidc-accesstoken: §"),
    ("cf-access", "Cf-Access-Jwt-Assertion: §"),
    ("x-ms-token", "X-MS-TOKEN-AAD-ACCESS-TOKEN: §"),
]

DUMPS: list[Carrier] = [
    ("dict", "headers={'Host': '«api.example.com»', 'Authorization': 'Bearer §', 'Accept': '«*/*»'}"),
    ("dict-lower", "{'authorization': 'Token §', 'user-agent': '«curl/8.5.0»'}"),
    ("dict-bytes", "{b'authorization': b'Bearer §', b'host': b'«api»'}"),
    ("tuples", "[('Host', '«api»'), ('Authorization', 'Bearer §'), ('Accept', '«*/*»')]"),
    ("tuples-bytes", "'headers': [(b'host', b'«api»'), (b'authorization', b'Bearer §'), (b'accept', b'*/*')]"),
    ("tuples-key", "[(b'x-api-key', b'§'), (b'accept', b'«*/*»')]"),
    ("lists", '[["host", "«api»"], ["authorization", "Bearer §"]]'),
    ("raw-headers", "['Host', '«api»', 'Authorization', 'Bearer §', 'Accept', '*/*']"),
    ("environ", "{'REQUEST_METHOD': '«GET»', 'HTTP_AUTHORIZATION': 'Bearer §', 'SERVER_PORT': '«8000»'}"),
    ("environ-key", "{'HTTP_X_API_KEY': '§', 'SERVER_PORT': '«8000»'}"),
    ("environ-token", "HTTP_X_AUTH_TOKEN='§' «SERVER_PORT='8000'»"),
    ("cgi-env", "REQUEST_METHOD=«GET»\nHTTP_AUTHORIZATION=Bearer §\nSERVER_PORT=8000"),
    ("redirect-env", "REDIRECT_HTTP_AUTHORIZATION=Bearer §"),
    ("django-meta", "META:{'CONTENT_LENGTH': '«12»', 'HTTP_AUTHORIZATION': 'JWT §'}"),
    ("django-500", "HTTP_AUTHORIZATION = 'Bearer §'\nHTTP_HOST = '«api.example.com»'"),
    (
        "raw-request",
        "«GET /v1/me HTTP/1.1»\r\nHost: «api.example.com»\r\nAuthorization: Bearer §\r\nAccept: */*\r\n\r\n",
    ),
    ("raw-repr", "b'«GET /v1/me HTTP/1.1»\\r\\nHost: api\\r\\nAuthorization: Bearer §\\r\\n\\r\\n'"),
    ("httpclient", "send: b'«GET /v1/me HTTP/1.1»\\r\\nAuthorization: Bearer §\\r\\nAccept: */*\\r\\n\\r\\n'"),
    ("httpclient-key", "send: b'GET / HTTP/1.1\\r\\nX-API-Key: §\\r\\nAccept: «*/*»\\r\\n\\r\\n'"),
    ("aiohttp", "<CIMultiDictProxy('Host': '«api»', 'Authorization': 'Bearer §', 'Accept': '*/*')>"),
    ("aiohttp-key", "<CIMultiDict('X-Auth-Token': '§', 'Accept': '«*/*»')>"),
    ("httpx", "Headers({'host': '«api»', 'authorization': 'Bearer §'})"),
    ("starlette", "Headers(raw=[(b'host', b'«api»'), (b'authorization', b'Bearer §')])"),
    ("werkzeug", "EnvironHeaders([('Host', '«api»'), ('Authorization', 'Bearer §')])"),
    ("werkzeug-auth", "<Authorization bearer token='§'>"),
    ("httpx-auth", "Request('GET', '«http://api/»', auth=BearerAuth(token='§'))"),
    ("requests", "POST «http://api/v1»\nContent-Type: application/json\nAuthorization: Bearer §\n\n{}"),
    ("requests-session", "session.headers.update({'Authorization': f'Bearer §'})"),
    ("go-map", "map[Accept:[«*/*»] Authorization:[Bearer §] User-Agent:[«Go-http-client/1.1»]]"),
    ("go-key", "map[Accept:[«*/*»] X-Api-Key:[§]]"),
    ("go-struct", '&oauth2.Token{AccessToken:"§", TokenType:"«Bearer»", Expiry:time.Time{}}'),
    ("go-struct-v", "{AccessToken:§ TokenType:«Bearer» RefreshToken: Expiry:0001-01-01}"),
    ("java-map", "{Accept=[«*/*»], Authorization=[Bearer §], Host=[«api»]}"),
    ("java-headers", 'HttpHeaders: [Host:"«api»", Authorization:"Bearer §", Accept:"*/*"]'),
    ("spring", '[accept:"«*/*»", x-api-key:"§"]'),
    ("okhttp", "--> GET http://«api»/v1\nAuthorization: Bearer §\n--> END GET"),
    ("tomcat", "header=authorization=Bearer §\nheader=host=«api»"),
    ("node", "{ host: '«api»', authorization: 'Bearer §', accept: '«*/*»' }"),
    ("node-raw", "[ 'Host', '«api»', 'Authorization', 'Bearer §' ]"),
    ("node-map", "Map(2) { 'host' => '«api»', 'authorization' => 'Bearer §' }"),
    ("node-error", "AxiosError: 401 { config: { headers: { Authorization: 'Bearer §' }, url: '«/v1»' } }"),
    (
        "fetch",
        "HeadersList { cookies: null, [Symbol(headers map)]: Map { 'authorization' => { name: 'Authorization', value: 'Bearer §' } } }",
    ),
    ("ruby", '{"HTTP_HOST"=>"«api»", "HTTP_AUTHORIZATION"=>"Bearer §"}'),
    ("php", "Array\n(\n    [Host] => «api»\n    [Authorization] => Bearer §\n)"),
    ("php-dump", '["Authorization"]=>\n  string(200) "Bearer §"\n  ["Host"]=> string(3) "«api»"'),
    ("rust", 'HeaderMap {"host": "«api»", "authorization": "Bearer §"}'),
    ("rust-pairs", '[("authorization", "Bearer §"), ("host", "«api»")]'),
    ("grpc", "metadata=(('authorization', 'Bearer §'), ('x-request', '«r1»'))"),
    ("grpc-metadatum", "_Metadatum(key='authorization', value='Bearer §')"),
    ("name-value", '{"name": "Authorization", "value": "Bearer §"}, {"name": "Host", "value": "«api»"}'),
    ("key-value", '{"key": "x-api-key", "value": "§", "type": "«text»"}'),
    ("value-first", '{"value": "§", "name": "x-api-key"}'),
    ("har-query", '"queryString": [{"name": "access_token", "value": "§"}, {"name": "page", "value": "«2»"}]'),
    ("postman-auth", '"auth": {"type": "bearer", "bearer": [{"key": "token", "value": "§", "type": "«string»"}]}'),
    ("envoy", "':path', '«/v1»'\n'authorization', 'Bearer §'\n':method', 'GET'"),
    ("nginx-debug", 'http header: "Authorization: Bearer §"\nhttp header: "Host: «api»"'),
    ("h2", "[HPACK] authorization: Bearer § «(never indexed)»"),
    ("otel", 'http.request.header.authorization=["Bearer §"] «http.route=/v1»'),
    ("otel-key", '-> http.request.header.x_api_key: Slice(["§"])'),
    ("logfmt", 'level=info «msg="call"» authorization="Bearer §" «status=200»'),
    ("logfmt-bare", "level=info authorization=§ «status=200»"),
    (
        "lambda",
        '{"headers": {"authorization": "Bearer §"}, "authorizationToken": "Bearer §", "methodArn": "«arn:aws:x»"}',
    ),
]

TOOLS: list[Carrier] = [
    ("mysql-list", "['mysqldump', '-h', '«db»', '-p§']"),
    ("mysql-audit", 'type=EXECVE argc=3 a0="mysql" a1="«-uroot»" a2="-p§"'),
    ("ipmitool", "ipmitool -H «host» -U admin -P § «power status»"),
    ("mosquitto", "mosquitto_pub -h «broker» -u ci -P § -t «x»"),
    ("ldapsearch", "ldapsearch -x -D «cn=admin» -w § -b «dc=x»"),
    ("openssl-k", "openssl enc -k § -in «a.txt»"),
    ("sqlcmd", "sqlcmd -S «db» -U sa -P '§' -Q «x»"),
    ("rabbitmqctl", "rabbitmqctl add_user «ci» §"),
    ("add-mask", "::add-mask::§"),
    ("imap-login", "a1 LOGIN «bob» §"),
    ("redis-hello", "HELLO 3 AUTH «default» §"),
    ("cisco-user", "username «bob» password 0 §"),
    ("requests-auth", "requests.get(«url», auth=('bob', '§'))"),
    ("typed", "cy.get('«input[name=password]»').type('§')"),
    ("curl-h", "curl -sS -H 'Authorization: Bearer §' «https://api/v1»"),
    ("curl-h-double", "curl -X POST -H \"X-API-Key: §\" -d '{}' «https://api/v1»"),
    ("curl-h-glued", "curl -HAuthorization:§ «https://api/v1»"),
    ("curl-header-eq", "curl --header=Authorization:Bearer\\ § «https://api/v1»"),
    ("curl-u", "curl -u ci:§ «https://api/v1»"),
    ("curl-user", "curl --user 'ci:§' «https://api/v1»"),
    ("curl-oauth2", "curl --oauth2-bearer § «https://api/v1»"),
    ("curl-v", "> «GET /v1 HTTP/2»\n> authorization: Bearer §\n> accept: */*"),
    ("curl-v-h2", "* [HTTP/2] [1] [authorization: Bearer §]\n* [HTTP/2] [1] [accept: «*/*»]"),
    ("curl-data", "curl -d 'grant_type=refresh_token&refresh_token=§' «https://id/token»"),
    ("curl-f", "curl -F token=§ -F «file=@a.csv» https://api"),
    ("curl-escaped", 'sh -c "curl -H \\"Authorization: Bearer §\\" «https://api/v1»"'),
    ("argv", "['curl', '-H', 'Authorization: Bearer §', '«https://api/v1»']"),
    ("wget", "wget --header='Authorization: Bearer §' «https://api/v1»"),
    ("wget-password", "wget --user=ci --password=§ «https://api/v1»"),
    ("httpie", "http GET «https://api/v1» Authorization:'Bearer §'"),
    ("httpie-key", "http «https://api/v1» X-API-Key:§ page==2"),
    ("httpie-auth", "http -A bearer -a § «https://api/v1»"),
    ("option-space", "deploy --token § --env «prod»"),
    ("option-eq", "deploy --api-key=§ --env=«prod»"),
    ("option-key-space", "deploy --api-key § --env «prod»"),
    ("option-argv", "['deploy', '--access-token', '§', '--env', '«prod»']"),
    ("option-short", "gh auth login --with-token <<< §"),
    ("echo-pipe", "echo § | docker login -u ci --password-stdin «registry.example.com»"),
    ("docker-login", "docker login -u ci -p § «registry.example.com»"),
    ("helm", "helm install x --set api.token=§ --set «replicas=2»"),
    ("psql", "PGPASSWORD=§ psql -h «db.example.com»"),
    ("powershell", 'Invoke-RestMethod -Headers @{ Authorization = "Bearer §" } -Uri «https://api»'),
    ("ps-aux", "ci 4711 0.0 0.1 python worker.py --auth-token=§ --queue «mail»"),
]

URLS: list[Carrier] = [
    *(
        (key, f'10.0.0.7 - "GET /v1/items?«page=2»&{key}=§&sort=asc HTTP/1.1" «200»')
        for key in ("access_token", "token", "jwt", "auth")
    ),
    *(
        (key, f"«GET /v1/items»?{key}=§")
        for key in ("api_key", "apikey", "api-key", "key", "accessToken", "id_token", "auth_token")
    ),
    *((key, f"«https://app.example.com/cb»#{key}=§&token_type=«Bearer»") for key in ("access_token", "id_token")),
    *((key, f"'query_string': b'«page=2»&{key}=§'") for key in ("token", "session_token", "bearer", "sig")),
    ("state-then", "Location: «https://app/cb»?state=x1&refresh_token=§"),
    ("brackets", "POST /x?«a=1»&user[token]=§"),
    ("semicolon", "GET /x;«v=1»;token=§"),
    ("userinfo", "connecting to https://ci:§@«git.example.com»/repo.git"),
    ("userinfo-token", "fetch https://§@«git.example.com»/repo.git"),
    ("dsn-postgres", "postgresql://app:§@«db.example.com»:5432/orders"),
    ("dsn-redis", "redis://:§@«cache.example.com»:6379/0"),
    ("dsn-amqp", "broker_url=amqp://app:§@«mq.example.com»//"),
    ("dsn-mongo", "mongodb+srv://app:§@«cluster0.example.net»/db?retryWrites=true"),
    ("magic-link", "GET /login/magic?«email=a%40b.ch»&token=§"),
    ("reset-path", "GET /accounts/reset/«MTI»/c9x-§/ HTTP/1.1"),
    ("referer", '"GET / HTTP/1.1" 200 5 "https://app.example.com/?access_token=§" "«Mozilla/5.0»"'),
    ("websocket", "WebSocket /ws?token=§ «[accepted]»"),
    ("oauth-code", "POST /token grant_type=authorization_code&code=§&«redirect_uri=x»"),
    ("oauth-verifier", "grant_type=authorization_code&code_verifier=§"),
    ("saml", "POST /acs RelayState=«x»&SAMLResponse=§"),
    ("assertion", "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=§"),
    ("client-assertion", "client_assertion_type=«x»&client_assertion=§"),
    ("device-code", "grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=§"),
    ("client-secret", "client_id=«app»&client_secret=§&grant_type=client_credentials"),
]

COOKIES: list[Carrier] = [
    *(
        (name, f"Cookie: «theme=dark»; {name}=§; «lang=de»")
        for name in ("sessionid", "session", "JSESSIONID", "PHPSESSID", "auth")
    ),
    *(
        (name, f"Set-Cookie: {name}=§; «Path=/; HttpOnly»")
        for name in ("sessionid", "connect.sid", "access_token", "sid", "jwt")
    ),
    *(
        (name, f"{{'{name}': '§', 'theme': '«dark»'}}")
        for name in ("sessionid", "session_token", "refresh_token", "ASP.NET_SessionId")
    ),
    ("host-prefix", "set-cookie: __Host-session=§; «Secure»"),
    ("secure-prefix", "Cookie: __Secure-next-auth.session-token=§"),
    ("environ", "'HTTP_COOKIE': '«theme=dark»; sessionid=§'"),
    ("jar", "<RequestsCookieJar[<Cookie session=§ for «api.example.com»/>]>"),
    ("laravel", "Cookie: laravel_session=§; «a=b»"),
    ("remember", "Cookie: remember_token=§"),
    ("simple", 'Set-Cookie: auth_token="§"; «Max-Age=3600»'),
]

BASIC: list[Carrier] = [
    ("header", "Authorization: Basic § «200»"),
    ("lower", "authorization: basic §"),
    ("dict", "{'Authorization': 'Basic §', 'Host': '«api»'}"),
    ("alone", "«sent» Basic §"),
    ("proxy", "Proxy-Authorization: Basic §"),
    ("environ", "HTTP_AUTHORIZATION='Basic §'"),
    ("go", "map[Authorization:[Basic §] Host:[«api»]]"),
]

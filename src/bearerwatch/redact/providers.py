"""Tokens whose issuers mark them: by how they begin they are told wherever they stand. One entry each, with its source.

A pattern begins at its anchor, which is in lower case here; what may stand before that is left to the engine.
Checksums (GitHub's and npm's) are not asked for: nothing else looks like these tokens, and a token that was mistyped or
cut is one all the same.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PROVIDERS", "Provider"]


class Provider(NamedTuple):
    """One issuer's way of writing tokens."""

    id: str
    anchors: tuple[str, ...]
    regex: str
    check: str
    source: str


def _of(issuer: str, anchors: str, regex: str, source: str, check: str = "begins") -> Provider:
    return Provider(issuer, tuple(anchors.split()), regex, check, source)


_W = r"[A-Za-z0-9_-]"
_A = r"[A-Za-z0-9]"
_H = r"[0-9a-f]"
_END = r"(?![A-Za-z0-9+/=_-])"
"""After a short mark: amid base64 of other things it stands by chance."""

PROVIDERS: tuple[Provider, ...] = (
    _of(
        "discord",
        "mta mte mti mtm mtq mtu mty mtc mtg mtk",
        rf"MT[AEIMQUYcgk]{_A}{{20,25}}\.{_W}{{6}}\.{_W}{{27,38}}{_END}",
        "https://docs.discord.com/developers/reference#authentication; base64 of the account's number, which begins"
        " with a one as a rule, a moment, and a MAC",
    ),
    _of(
        "github",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        rf"(?:gh[pousr]_{_A}{{36,251}}|github_pat_{_A}{{22}}_{_A}{{59}})",
        "https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github",
    ),
    _of(
        "gitlab",
        "glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glimt- glagent- gloas-",
        rf"gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas)-{_W}{{20,}}(?:\.{_A}{{2}}\.{_A}{{9}})?",
        "https://docs.gitlab.com/security/tokens/#token-prefixes",
    ),
    _of(
        "slack",
        "xoxb- xoxp- xoxa- xoxr- xoxe- xoxs- xoxc- xoxd- xapp-",
        r"(?:xox[abceprsd][.-](?:xox[bp]-)?|xapp-)[A-Za-z0-9-]{15,}",
        "https://docs.slack.dev/authentication/tokens",
    ),
    _of("stripe", "k_live_ k_test_", r"k_(?:live|test)_[A-Za-z0-9]{16,}", "https://docs.stripe.com/keys", "stripe"),
    _of("stripe-webhook", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,}", "https://docs.stripe.com/webhooks"),
    _of("pypi", "pypi-ageich", rf"pypi-AgEIcHlwaS5vcmc{_W}{{50,}}", "https://docs.pypi.org/api/secrets/"),
    _of("npm", "npm_", rf"npm_{_A}{{36}}", "https://docs.npmjs.com/about-access-tokens"),
    _of(
        "google",
        "ya29. aiza gocspx- 1//0",
        rf"(?:ya29\.{_W}{{20,}}|AIza{_W}{{35}}|GOCSPX-{_W}{{28}}|1//0{_W}{{30,}})",
        "https://cloud.google.com/docs/authentication/token-types",
    ),
    _of(
        "aws",
        "fwogzxi iqojb3jpz2lu",
        r"(?:FwoGZXIvYXdzE|IQoJb3JpZ2luX2VjE)[A-Za-z0-9+/]{40,}={0,2}",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_use-resources.html",
    ),
    _of(
        "digitalocean",
        "dop_v1_ doo_v1_ dor_v1_",
        rf"do[opr]_v1_{_H}{{64}}",
        "https://docs.digitalocean.com/reference/api/",
    ),
    _of(
        "sentry",
        "sntrys_ sntryu_ sntrya_",
        r"sntry[asu]_[A-Za-z0-9+/=_-]{32,}",
        "https://docs.sentry.io/account/auth-tokens/",
    ),
    _of(
        "sendgrid",
        "sg.",
        rf"SG\.{_W}{{20,24}}\.{_W}{{39,50}}",
        "https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys",
    ),
    _of(
        "mailgun", "key-", rf"key-{_H}{{32}}", "https://documentation.mailgun.com/docs/mailgun/user-manual/api-key-mgmt"
    ),
    _of("telegram", ":aa", rf":AA{_W}{{33}}", "https://core.telegram.org/bots/api#authorizing-your-bot", "telegram"),
    _of(
        "huggingface", "hf_ api_org_", rf"(?:hf|api_org)_{_A}{{34,}}", "https://huggingface.co/docs/hub/security-tokens"
    ),
    _of(
        "openai",
        "sk- sess-",
        rf"(?:sk-(?:(?:proj|svcacct|admin|None)-)?{_W}{{20,120}}?T3BlbkFJ{_W}{{20,120}}+|sk-(?:proj|svcacct|admin)-{_W}{{40,}}|sk-{_A}{{48}}|sess-{_A}{{40}})",
        "https://platform.openai.com/docs/api-reference/authentication",
    ),
    _of("anthropic", "sk-ant-", rf"sk-ant-[a-z0-9]{{3,10}}-{_W}{{60,}}", "https://docs.anthropic.com/en/api/overview"),
    _of(
        "shopify",
        "shpat_ shpss_ shpca_ shppa_ shptka_",
        rf"shp(?:at|ss|ca|pa|tka)_{_H}{{32}}",
        "https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens",
        "begins",
    ),
    _of(
        "square",
        "eaa sq0atp- sq0csp- sq0idp-",
        rf"(?:EAA[A-Za-z]{_W}{{60,}}|sq0(?:atp-{_W}{{22}}|csp-{_W}{{43}}))",
        "https://developer.squareup.com/docs/build-basics/access-tokens",
    ),
    _of(
        "databricks", "dapi", rf"dapi{_H}{{32}}(?:-\d)?{_END}", "https://docs.databricks.com/aws/en/dev-tools/auth/pat"
    ),
    _of(
        "atlassian",
        "atatt3xf atbb atctt3xf",
        rf"(?:AT[AC]TT3xF{_W}{{60,}}(?:={_A}{{8}})?|ATBB{_A}{{32}})",
        "https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/",
    ),
    _of("linear", "lin_api_ lin_oauth_", rf"lin_(?:api|oauth)_{_A}{{40,}}", "https://linear.app/developers/graphql"),
    _of(
        "notion",
        "secret_ ntn_",
        rf"(?:secret_{_A}{{43}}|ntn_{_A}{{40,}})",
        "https://developers.notion.com/docs/authorization",
    ),
    _of(
        "docker", "dckr_pat_ dckr_oat_", rf"dckr_[po]at_{_W}{{20,}}", "https://docs.docker.com/security/access-tokens/"
    ),
    _of(
        "vault",
        "hvs. hvb. hvr.",
        rf"hv[sbr]\.{_W}{{24,}}",
        "https://developer.hashicorp.com/vault/docs/concepts/tokens",
    ),
    _of(
        "terraform",
        ".atlasv1.",
        rf"\.atlasv1\.{_W}{{60,}}",
        "https://developer.hashicorp.com/terraform/cloud-docs/users-teams-organizations/api-tokens",
        "terraform",
    ),
    _of(
        "doppler",
        "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.",
        rf"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{{2,35}}\.)?{_A}{{40,44}}",
        "https://docs.doppler.com/docs/service-tokens",
    ),
    _of(
        "grafana",
        "glsa_ glc_",
        rf"(?:glsa_{_A}{{32}}_{_H}{{8}}|glc_[A-Za-z0-9+/]{{32,}}={{0,2}})",
        "https://grafana.com/docs/grafana/latest/administration/service-accounts/",
    ),
    _of(
        "newrelic",
        "nrak- nrjs- nraa-",
        r"NR(?:AK|JS|AA)-[A-Za-z0-9]{19,27}",
        "https://docs.newrelic.com/docs/apis/intro-apis/new-relic-api-keys/",
    ),
    _of(
        "postman",
        "pmak-",
        rf"PMAK-{_H}{{24}}-{_H}{{34}}",
        "https://learning.postman.com/docs/developer/postman-api/authentication/",
    ),
    _of(
        "pulumi",
        "pul-",
        rf"pul-{_H}{{40}}",
        "https://www.pulumi.com/docs/pulumi-cloud/access-management/access-tokens/",
    ),
    _of("fly", "fo1_ fm1_ fm2_", r"f(?:o1|m[12])_[A-Za-z0-9+/=_-]{40,}", "https://fly.io/docs/security/tokens/"),
    _of("netlify", "nfp_ nfc_ nfo_ nfu_", rf"nf[pcou]_{_A}{{36}}", "https://docs.netlify.com/api/get-started/"),
    _of(
        "airtable",
        "pat",
        rf"pat{_A}{{14}}\.{_H}{{64}}",
        "https://airtable.com/developers/web/guides/personal-access-tokens",
    ),
    _of("figma", "figd_ figo_", rf"fig[do]_{_W}{{40,}}", "https://www.figma.com/developers/api#access-tokens"),
    _of("dropbox", "sl.", rf"sl\.(?:u\.)?{_W}{{130,}}", "https://developers.dropbox.com/oauth-guide"),
    _of("rubygems", "rubygems_", rf"rubygems_{_H}{{48}}", "https://guides.rubygems.org/api-key-scopes/"),
    _of("crates", "cio", rf"cio{_A}{{32}}{_END}", "https://crates.io/data-access"),
    _of(
        "supabase",
        "sbp_ sb_secret_",
        rf"(?:sbp_{_H}{{40}}|sb_secret_{_W}{{22,}})",
        "https://supabase.com/docs/guides/api/api-keys",
    ),
    _of(
        "planetscale",
        "pscale_",
        rf"pscale_(?:tkn|pw|oauth)_{_W}{{32,}}",
        "https://planetscale.com/docs/concepts/service-tokens",
    ),
    _of(
        "sonar",
        "squ_ sqp_ sqa_",
        rf"sq[upa]_{_H}{{40}}",
        "https://docs.sonarsource.com/sonarqube-server/user-guide/managing-tokens/",
    ),
    _of("buildkite", "bkua_ bkaj_", rf"bk(?:ua|aj)_{_H}{{40}}", "https://buildkite.com/docs/apis/managing-api-tokens"),
    _of(
        "circleci",
        "ccipat_ cciprj_",
        rf"CCIP(?:AT|RJ)_{_A}{{22}}_{_H}{{40}}",
        "https://circleci.com/docs/managing-api-tokens/",
    ),
    _of(
        "contentful",
        "cfpat-",
        rf"CFPAT-{_W}{{43}}",
        "https://www.contentful.com/developers/docs/references/authentication/",
    ),
    _of(
        "dynatrace",
        "dt0c01. dt0s",
        r"dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
        "https://docs.dynatrace.com/docs/manage/identity-access-management/access-tokens-and-oauth-clients",
    ),
    _of(
        "plaid",
        "access-production- access-sandbox- access-development-",
        rf"access-(?:production|sandbox|development)-{_H}{{8}}(?:-{_H}{{4}}){{3}}-{_H}{{12}}",
        "https://plaid.com/docs/api/tokens/",
    ),
    _of(
        "tailscale",
        "tskey-",
        rf"tskey-(?:auth|api|client|scim|webhook)-{_A}{{8,}}-{_A}{{24,}}",
        "https://tailscale.com/kb/1085/auth-keys",
    ),
    _of("prefect", "pnu_ pnb_", rf"pn[ub]_{_A}{{36}}", "https://docs.prefect.io/v3/manage/cloud/manage-users/api-keys"),
    _of(
        "shippo",
        "shippo_",
        rf"shippo_(?:live|test)_{_H}{{40}}",
        "https://docs.goshippo.com/docs/guides_general/authentication/",
    ),
    _of("age", "age-secret-key-1", r"AGE-SECRET-KEY-1[0-9A-Z]{58}", "https://age-encryption.org/v1"),
    _of("nuget", "oy2", r"oy2[a-z0-9]{43}", "https://learn.microsoft.com/en-us/nuget/nuget-org/scoped-api-keys"),
    _of(
        "azure",
        "8q~",
        r"8Q~[A-Za-z0-9_~.-]{31,34}",
        "https://learn.microsoft.com/en-us/entra/identity-platform/",
        "azure",
    ),
    _of(
        "brevo",
        "xkeysib- xsmtpsib-",
        rf"x(?:key|smtp)sib-{_H}{{64}}-{_A}{{16}}",
        "https://developers.brevo.com/docs/getting-started",
    ),
    _of("openrouter", "sk-or-v1-", rf"sk-or-v1-{_H}{{64}}", "https://openrouter.ai/docs/api-reference/authentication"),
    _of("replicate", "r8_", rf"r8_{_A}{{37}}", "https://replicate.com/docs/topics/security/api-tokens"),
    _of("perplexity", "pplx-", rf"pplx-{_A}{{48}}", "https://docs.perplexity.ai/guides/api-key-management"),
    _of("xai", "xai-", rf"xai-{_A}{{70,}}", "https://docs.x.ai/docs/key-information/using-management-api"),
    _of("groq", "gsk_", rf"gsk_{_A}{{48,}}", "https://console.groq.com/docs/quickstart"),
    _of(
        "langsmith",
        "lsv2_",
        rf"lsv2_(?:pt|sk)_{_H}{{32}}_{_H}{{10}}",
        "https://docs.smith.langchain.com/administration/how_to_guides/organization_management/create_account_api_key",
    ),
    _of("pinecone", "pcsk_", rf"pcsk_{_W}{{40,}}", "https://docs.pinecone.io/guides/production/security-overview"),
    _of("resend", "re_", rf"re_{_A}{{8}}_{_A}{{20,}}", "https://resend.com/docs/dashboard/api-keys/introduction"),
    _of(
        "openshift",
        "sha256~",
        rf"sha256~{_W}{{43}}",
        "https://docs.redhat.com/en/documentation/openshift_container_platform/",
    ),
    _of("readme", "rdme_", r"rdme_[a-z0-9]{70}", "https://docs.readme.com/main/reference/intro/authentication"),
    _of(
        "typeform",
        "tfp_",
        rf"tfp_{_A}{{40,}}",
        "https://www.typeform.com/developers/get-started/personal-access-token/",
    ),
    _of(
        "sourcegraph",
        "sgp_ slk_",
        rf"(?:sgp_(?:{_H}{{16}}_|local_)?{_H}{{40}}|slk_{_H}{{64}})",
        "https://sourcegraph.com/docs/cli/how-tos/creating_an_access_token",
    ),
    _of("heroku", "hrku-", rf"HRKU-{_W}{{36,}}", "https://devcenter.heroku.com/articles/oauth"),
    _of("adafruit", "aio_", rf"aio_{_A}{{28}}", "https://io.adafruit.com/api/docs/"),
    _of(
        "flutterwave",
        "flwseck",
        r"FLWSECK(?:_TEST)?-[A-Za-z0-9]{12,}-X",
        "https://developer.flutterwave.com/docs/authentication",
    ),
    _of("octopus", "api-", r"API-[A-Z0-9]{26}", "https://octopus.com/docs/octopus-rest-api/how-to-create-an-api-key"),
    _of(
        "artifactory",
        "akcp cmvmdgtu",
        rf"(?:AKC[A-Za-z0-9]{_A}{{60,80}}|cmVmdGtu{_A}{{50,80}})",
        "https://jfrog.com/help/r/jfrog-platform-administration-documentation/access-tokens",
    ),
    _of(
        "yandex",
        "t1. aqvn y0_",
        rf"(?:t1\.[A-Z0-9a-z_-]+={{0,2}}\.{_W}{{86}}={{0,2}}|AQVN{_W}{{35,38}}|y0_{_W}{{40,}})",
        "https://yandex.cloud/en/docs/iam/concepts/authorization/",
    ),
    _of(
        "firebase",
        "aaaa",
        rf"AAAA{_W}{{7}}:APA91b{_W}{{100,160}}",
        "https://firebase.google.com/docs/cloud-messaging/auth-server; server keys of before HTTP v1",
    ),
    _of("posthog", "phx_", rf"phx_{_A}{{40,}}", "https://posthog.com/docs/api#private-endpoint-authentication"),
    _of("render", "rnd_", rf"rnd_{_A}{{28,}}", "https://render.com/docs/api"),
    _of("ory", "ory_", rf"ory_(?:at|rt|ac|st|pat)_{_W}{{28,}}(?:\.{_W}{{28,}})?", "https://www.ory.com/docs/"),
    _of("mapbox", "sk.eyj", rf"sk\.eyJ{_W}{{40,}}\.{_W}{{20,}}", "https://docs.mapbox.com/accounts/guides/tokens/"),
    _of(
        "stripe-intent",
        "_secret_",
        rf"_secret_{_A}{{24,}}",
        "https://docs.stripe.com/api/payment_intents/object",
        "always",
    ),
    _of(
        "paseto",
        ".local. .public.",
        rf"\.(?:local|public)\.{_W}{{16,}}(?:\.{_W}+)?",
        "https://github.com/paseto-standard/paseto-spec",
        "paseto",
    ),
)
"""Every issuer. Longer or more special beginnings need no order: the longest match over a text wins."""

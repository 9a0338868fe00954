# SPDX-License-Identifier: Apache-2.0
"""Kinds of messages (SPEC section 3) and the names that people had under LTI 1.1 (SPEC 2.5): what the application is told, and what is refused."""
import base64
import hashlib
import hmac

import pytest
from campus_protocol import LTI
from client import Browser

DEEP_LINKING = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
GRADES = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
SECRET = "my-lti11-secret"

# What an expression knows of it, beside the usual directories.
EXPRESSION = '<Location "/cgi">\n    Header always set X-For "expr=%{LTI_FOR_USER_ID}"\n</Location>'


def put_secret(stage, name="legacy-secret", text=SECRET + "\nthe second line does not count\n", mode=0o600):
    path = stage.httpd.root / "state" / name
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture(scope="module")
def site(make_shared_stage):
    stage = make_shared_stage()
    secret = put_secret(stage)
    stage.configure(pace="LTISync Off", extra=f"LTILegacySecret 179248902 {secret}\n{EXPRESSION}")
    return stage.start()


@pytest.fixture(autouse=True)
def campus_as_usual(request):
    yield
    if "site" in request.fixturenames:
        request.getfixturevalue("site").campus.tamper_claims = None


def review(**changes):
    """The claims of a teacher who reviews Zoë's work; None takes one away."""

    def tamper(claims):
        more = {
            LTI + "message_type": "LtiSubmissionReviewRequest",
            LTI + "for_user": {"user_id": "u-under-review", "name": "Zoë Müller", "email": "zoe@example.org", "roles": ["Learner"]},
            GRADES: {"scope": [], "lineitem": "https://lms.example.org/li/1"},
        }
        more.update(changes.get("claims", {}))
        return {name: value for name, value in {**claims, **more}.items() if value is not None}

    return tamper


def deep_linking(claims_changes=None, **changes):
    """The claims of a teacher who picks content; None takes a setting away."""

    def tamper(claims):
        settings = {
            "deep_link_return_url": "https://lms.example.org/dl?x=1",
            "accept_types": ["link", "ltiResourceLink"],
            "accept_presentation_document_targets": ["iframe", "window"],
            "accept_media_types": "image/*,text/html",
            "accept_multiple": True,
            "accept_lineitem": False,
            "data": "csrf=42; täg",
            **changes,
        }
        changed = dict(claims, **{
            LTI + "message_type": "LtiDeepLinkingRequest",
            DEEP_LINKING: {name: value for name, value in settings.items() if value is not None},
        })  # fmt: skip
        for name in (LTI + "resource_link", LTI + "roles"):
            del changed[name]
        return changed

    return tamper


# --- submission review ------------------------------------------------------------------------------------------------------------------


def test_the_reviewer_is_the_user_and_the_reviewed_is_named_beside(site, browser):
    """SPEC M-07, K-24: never mixed, in variables, headers and expressions alike."""
    ada = site.campus.state.person("ada")
    site.campus.tamper_claims = review()
    site.launch("ada", browser=browser)
    told = site.echo(browser)
    assert told["x-lti-message-type"] == "LtiSubmissionReviewRequest"
    assert told["x-lti-for-user-id"] == "u-under-review"
    assert (told["x-lti-user-id"], told["x-lti-name"], told["x-lti-email"]) == (ada.id, "Ada Lovelace", ada.email)
    assert told["x-lti-role"] == "instructor" and told["x-lti-remote-user"].startswith(ada.id)
    environment = site.environment(browser)
    assert environment["LTI_FOR_USER_ID"] == "u-under-review" and environment["LTI_USER_ID"] == ada.id
    assert browser.get(site.url("/cgi/class.cgi?echo")).header("X-For") == "u-under-review"

    # The next launch of that course is of another kind, and says nothing of it any more; nor may the client say it.
    site.campus.tamper_claims = None
    site.launch("ada", browser=browser)
    told = site.echo(browser, headers=[("X-LTI-For-User-Id", "forged"), ("x_lti_for_user_id", "forged")])
    assert "x-lti-for-user-id" not in told and not any("forged" in value for value in told.values())
    assert browser.get(site.url("/cgi/class.cgi?echo")).header("X-For") == ""


REVIEWS = {
    "nobody under review": ({LTI + "for_user": None}, "claim-missing"),
    "somebody without an id": ({LTI + "for_user": {"name": "Zoë"}}, "claim-missing"),
    "an id that is none": ({LTI + "for_user": {"user_id": 7}}, "claim-invalid"),
    "no grades service": ({GRADES: None}, "claim-missing"),
    "no line item": ({GRADES: {"lineitems": "https://lms.example.org/li"}}, "claim-missing"),
    "no resource link": ({LTI + "resource_link": None}, "claim-missing"),
    "no roles": ({LTI + "roles": None}, "claim-missing"),
}


@pytest.mark.parametrize("case", REVIEWS)
def test_reviews_that_lack_something(site, browser, case):
    """SPEC M-07, M-09."""
    claims, code = REVIEWS[case]
    site.campus.tamper_claims = review(claims=claims)
    steps = browser.launch(site.campus, "BIO1", "ada", check=False)
    assert (steps.launch.status, steps.launch.error) == (401, code)
    assert not browser.named("lti_")


# --- deep linking -----------------------------------------------------------------------------------------------------------------------


def test_deep_linking_is_handed_to_the_application(site, browser):
    """SPEC M-04, M-05: no resource link, no roles, and everything that an answer needs."""
    site.campus.tamper_claims = deep_linking()
    site.launch("ada", browser=browser)
    told = site.echo(browser)
    wanted = {
        "message-type": "LtiDeepLinkingRequest",
        "deep-link-return-url": "https://lms.example.org/dl?x=1",
        "deep-link-accept-types": "link ltiResourceLink",
        "deep-link-accept-targets": "iframe window",
        "deep-link-accept-media-types": "image/*,text/html",
        "deep-link-accept-multiple": "true",
        "deep-link-accept-lineitem": "false",
        "deep-link-data": "csrf=42; täg",
        "role": "none",
    }
    assert {name: told[f"x-lti-{name}"] for name in wanted} == wanted
    assert not [name for name in told if "resource-link" in name or "auto-create" in name or "for-user" in name]
    environment = site.environment(browser)
    assert environment["LTI_DEEP_LINK_DATA"] == "csrf=42; täg"
    assert environment["LTI_DEEP_LINK_RETURN_URL"] == "https://lms.example.org/dl?x=1"


def test_a_resource_link_in_deep_linking_is_ignored(site, browser):
    """SPEC M-05."""
    tamper = deep_linking()
    site.campus.tamper_claims = lambda claims: dict(tamper(claims), **{LTI + "resource_link": {"id": 7}})
    site.launch("ada", browser=browser)
    assert not [name for name in site.echo(browser) if "resource-link" in name]


def test_data_that_does_not_fit_into_a_cookie_or_header(site, browser):
    """It is given to CGI whole; a header is cut, and says so."""
    data = "".join(f"{number:04d}" for number in range(2048))
    site.campus.tamper_claims = deep_linking(data=data)
    site.launch("ada", browser=browser)
    assert site.environment(browser)["LTI_DEEP_LINK_DATA"] == data
    told = site.echo(browser)
    assert data.startswith(told["x-lti-deep-link-data"]) and told["x-lti-truncated"] == "X-LTI-Deep-Link-Data"
    assert told["x-lti-deep-link-return-url"] == "https://lms.example.org/dl?x=1"


SETTINGS = {
    "no return URL": ({"deep_link_return_url": None}, "claim-missing"),
    "return URL of no kind": ({"deep_link_return_url": "javascript:alert(1)"}, "claim-invalid"),
    "return URL in the clear": ({"deep_link_return_url": "http://lms.example.org/dl"}, "claim-invalid"),
    "no types": ({"accept_types": None}, "claim-missing"),
    "types no list": ({"accept_types": "link"}, "claim-invalid"),
    "no targets": ({"accept_presentation_document_targets": None}, "claim-missing"),
    "data no text": ({"data": {"a": 1}}, "claim-invalid"),
    "data that nobody could keep": ({"data": "x" * 8193}, "claim-invalid"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_deep_linking_that_lacks_something(site, browser, case):
    """SPEC M-04."""
    changes, code = SETTINGS[case]
    site.campus.tamper_claims = deep_linking(**changes)
    steps = browser.launch(site.campus, "BIO1", "ada", check=False)
    assert (steps.launch.status, steps.launch.error) == (401, code)
    assert not browser.named("lti_")


# --- what is not taken ------------------------------------------------------------------------------------------------------------------


NOT_TAKEN = [
    "LtiContextLaunchRequest", "LtiDataPrivacyLaunchRequest", "LtiStartProctoring", "LtiStartAssessment", "LtiDeepLinkingResponse",
    "LtiHelloWorldNotice", "basic-lti-launch-request", "ltiResourceLinkRequest", "LTIRESOURCELINKREQUEST", " LtiResourceLinkRequest", "",
    "<script>alert(1)</script>", "Lti\x1b[31mRequest", "Ä" * 300,
]  # fmt: skip


@pytest.mark.parametrize("name", NOT_TAKEN, ids=range(len(NOT_TAKEN)))
def test_other_messages_are_refused_and_never_taken_for_a_launch(site, browser, name):
    """SPEC M-01, M-03, M-08: a page that says so, the name (bounded) in the log."""
    site.campus.tamper_claims = lambda claims: dict(claims, **{LTI + "message_type": name})
    before = len(site.httpd.log_lines())
    answer = browser.launch(site.campus, "BIO1", "zoe", check=False).launch
    assert (answer.status, answer.error) == (403, "message-type")
    assert "This tool does not take this kind of link." in answer.text and "not named in LTIMessageTypes" in answer.text
    assert "<script" not in answer.text and "\x1b" not in answer.text
    (line,) = [line for line in site.httpd.log_lines()[before:] if "LTI0201" in line]
    assert "\x1b" not in line and len(line) < 700
    assert not browser.named("lti_")


def test_types_that_are_switched_off(make_stage):
    """SPEC M-01, M-06: only those of LTIMessageTypes."""
    stage = make_stage().configure(pace="LTISync Off", extra="LTIMessageTypes LtiResourceLinkRequest").start()
    for tamper in (review(), deep_linking()):
        stage.campus.tamper_claims = tamper
        answer = Browser().launch(stage.campus, "BIO1", "ada", check=False).launch
        assert (answer.status, answer.error) == (403, "message-type")
    stage.campus.tamper_claims = None
    stage.launch("ada")


# --- names of LTI 1.1 -------------------------------------------------------------------------------------------------------------------


def migration(secret=SECRET, key="179248902", **changes):
    """SPEC H-01: the claim, signed as a platform signs it."""

    def tamper(claims):
        text = "&".join([key, claims[LTI + "deployment_id"], claims["iss"], claims["aud"], str(claims["exp"]), claims["nonce"]])
        signature = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
        claim = {
            "user_id": "34212",
            "context_id": "3911-ä",
            "resource_link_id": "4fe1",
            "oauth_consumer_key": key,
            "oauth_consumer_key_sign": signature,
            **changes,
        }
        return dict(claims, **{LTI + "lti1p1": {name: value for name, value in claim.items() if value is not None}})

    return tamper


def legacy(told):
    return {name[len("x-lti-legacy-") :]: value for name, value in told.items() if name.startswith("x-lti-legacy-")}


def test_names_of_lti_1_1_are_told_where_their_signature_is_good(site, browser):
    """SPEC H-01, K-23."""
    site.campus.tamper_claims = migration()
    site.launch("zoe", browser=browser)
    wanted = {"consumer-key": "179248902", "user-id": "34212", "context-id": "3911-ä", "resource-link-id": "4fe1"}
    assert legacy(site.echo(browser)) == wanted
    assert site.environment(browser)["LTI_LEGACY_USER_ID"] == "34212"
    # What did not change is not sent, and not told.
    site.campus.tamper_claims = migration(context_id=None, resource_link_id=None)
    site.launch("zoe", browser=browser)
    assert legacy(site.echo(browser)) == {"consumer-key": "179248902", "user-id": "34212"}
    # And the new names stay what they are.
    assert site.echo(browser)["x-lti-user-id"] == site.campus.state.person("zoe").id


BAD_SIGNATURES = {
    "another secret": migration(secret="guessed"),
    "another key": migration(key="somebody-else"),
    "no signature": migration(oauth_consumer_key_sign=None),
    "no key": migration(oauth_consumer_key=None),
    "a signature cut short": migration(oauth_consumer_key_sign="lWd54kFo5qU7"),
    "a signature of no kind": migration(oauth_consumer_key_sign=["x"]),
}


@pytest.mark.parametrize("case", BAD_SIGNATURES)
def test_names_without_a_good_signature_are_no_names(site, browser, case):
    """SPEC H-03: not used, said once, and the launch goes on."""
    site.httpd.allow_log("LTI0240: ")
    before = len(site.httpd.log_lines())
    site.campus.tamper_claims = BAD_SIGNATURES[case]
    site.launch("zoe", browser=browser)
    assert legacy(site.echo(browser)) == {}
    lines = [line for line in site.httpd.log_lines()[before:] if "LTI0240" in line]
    assert len(lines) == 1 and "34212" not in lines[0], lines


def test_nobody_asked_for_names_of_lti_1_1(still, browser):
    """Without LTILegacySecret the claim says nothing, and nobody is told about it."""
    still.campus.tamper_claims = migration()
    still.launch("zoe", browser=browser)
    assert legacy(still.echo(browser)) == {}
    assert "LTI0240" not in still.httpd.log_text()


def test_each_virtual_host_has_its_secrets_and_those_of_the_main_server(make_stage, browser):
    """The inner one counts where both have a key."""
    stage = make_stage()
    wrong, right, other = put_secret(stage, "wrong", "guessed"), put_secret(stage, "right"), put_secret(stage, "other", "other\r\n")
    stage.configure(
        pace="LTISync Off",
        extra=f"""LTILegacySecret 179248902 {wrong}
LTILegacySecret main {other}
<VirtualHost 127.0.0.1:{stage.httpd.port}>
    ServerName {stage.httpd.base_url}
    LTILegacySecret 179248902 {right}
</VirtualHost>""",
    ).start()
    stage.campus.tamper_claims = migration()
    stage.launch("zoe", browser=browser)
    assert legacy(stage.echo(browser))["user-id"] == "34212"
    stage.campus.tamper_claims = migration(secret="other", key="main")
    stage.launch("zoe", browser=browser)
    assert legacy(stage.echo(browser))["consumer-key"] == "main"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (None, 0, "does not exist: write the shared secret of LTI 1.1 into its first line"),
        ("\nsecond\n", 0o600, "the first line of {path} is empty"),
        (SECRET, 0o644, "can be read or written by others"),
    ],
)
def test_configtest_reads_the_secrets(make_stage, text, mode, said):
    stage = make_stage()
    path = stage.httpd.root / "state" / "legacy"
    if text is not None:
        put_secret(stage, "legacy", text, mode)
    host = f"<VirtualHost 127.0.0.1:{stage.httpd.port}>\n    ServerName {stage.httpd.base_url}\n    LTILegacySecret key {path}\n</VirtualHost>"
    stage.configure(extra=host)
    code, output = stage.httpd.configtest()
    assert code != 0 and said.format(path=path) in output, output
    assert f"{stage.httpd.conf}:{stage.httpd.line_of('LTILegacySecret key')}" in output
    assert output.count("LTILegacySecret key") == 1


def test_a_consumer_key_stands_once(make_stage):
    stage = make_stage()
    path = put_secret(stage)
    stage.configure(extra=f"LTILegacySecret key {path}\nLTILegacySecret key {path}")
    code, output = stage.httpd.configtest()
    assert code != 0 and "the consumer key 'key' stands at" in output, output
    assert SECRET not in output

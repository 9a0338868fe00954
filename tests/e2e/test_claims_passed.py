# SPDX-License-Identifier: Apache-2.0
"""LTIPassClaims and LTIPassIdentity: the application is told what it may be told, by every way, and what limits headers have."""
import json
from urllib.parse import unquote

import pytest

# place -> what is written there
RULES = {
    "all": "LTIPassClaims all",
    "none": "LTIPassClaims none",
    "two": "LTIPassClaims role LTI_Course_Key",
    "lines": "LTIPassClaims ROLE\n    LTIPassClaims course_KEY name",
    "custom": "LTIPassClaims custom_*",
    "custom-login": "LTIPassClaims user_id custom_log?n custom_missing",
    "two/inner": "LTIPassClaims email",
    "two/everything": "LTIPassClaims all",
    "two/silent": "LTIPassIdentity none",
    "encoded": "LTIPassIdentity headers=encoded",
    "nothing": "LTIPassIdentity none",
    "only-env": "LTIPassIdentity env",
    "only-headers": "LTIPassIdentity headers",
}
REWRITES = """RewriteEngine On
RewriteRule "^/parts/to-all$" "/all/class.cgi?echo" [PT]
<Directory "ROOT/htdocs/parts">
    RewriteEngine On
    RewriteRule "^([a-z-]+)$" "/$1/class.cgi?echo" [L]
</Directory>
<Location "/parts">
    Options +Includes
</Location>
AddOutputFilter INCLUDES .shtml
SetEnv LTI_MODE production
LogFormat "%{LTI_ROLE}e|%{LTI_NAME}e" who
CustomLog logs/who.log who
<Location "/two">
    SetEnvIfExpr "%{LTI_NAME} =~ /(.)/" SEEN=$1
</Location>
"""


@pytest.fixture(scope="module")
def places(make_shared_stage):
    stage = make_shared_stage()
    httpd = stage.httpd
    lines = []
    for name in sorted(RULES, key=len, reverse=True):
        lines.append(f'ProxyPass "/{name}/app/" "http://127.0.0.1:{httpd.app_port}/"\nScriptAlias "/{name}/" "{httpd.root}/cgi/"')
    for name, rule in RULES.items():
        lines.append(f'<Location "/{name}">\n    AuthType LTI\n    Require valid-user\n    {rule}\n</Location>')
        httpd.put(f"parts/{name.replace('/', '-')}.shtml", f'[<!--#include virtual="/{name}/class.cgi?echo" -->]')
    httpd.put("parts/app.shtml", '<!--#include virtual="/two/app/echo" -->')
    lines.append(REWRITES.replace("ROOT", str(httpd.root)))
    return stage.configure(pace="LTISync Off", extra="\n".join(lines)).start()


@pytest.fixture(scope="module")
def zoe(places):
    return places.launch("zoe")


def env(places, browser, path):
    """Names without LTI_ of what a script is told, and its whole environment."""
    told = places.environment(browser, path)
    return {name[4:] for name in told if name.startswith("LTI_") and name != "LTI_MODE"}, told


def headers(places, browser, name):
    return {header.removeprefix("x-lti-").upper().replace("-", "_"): value for header, value in places.echo(browser, f"/{name}/app/echo").items()}


EVERYTHING = {"USER_ID", "NAME", "GIVEN_NAME", "EMAIL", "ROLE", "ROLES", "COURSE_KEY", "CONTEXT_ID", "CUSTOM_LOGIN", "CUSTOM_PLACEMENT", "ROSTER_STATE", "LAUNCH_ID"}

# place -> exactly what is told, or None for everything
TOLD = {
    "all": None,
    "none": set(),
    "two": {"ROLE", "COURSE_KEY"},
    "lines": {"ROLE", "COURSE_KEY", "NAME"},
    "custom": {"CUSTOM_LOGIN", "CUSTOM_PLACEMENT"},
    "custom-login": {"USER_ID", "CUSTOM_LOGIN"},
    "two/inner": {"EMAIL"},
    "two/everything": None,
}


@pytest.mark.parametrize("name", TOLD)
def test_application_is_told_what_the_list_names(places, zoe, name):
    wanted = TOLD[name]
    in_env, whole = env(places, zoe, f"/{name}/class.cgi?echo")
    in_headers = headers(places, zoe, name)
    user = f"{places.campus.state.person('zoe').id}@campus"
    # Who it is, and that it was us, is told all the same: that is what LTIRemoteUser chooses.
    assert whole["REMOTE_USER"] == in_headers.pop("REMOTE_USER") == user and whole["AUTH_TYPE"] == "LTI"
    if wanted is None:
        assert EVERYTHING <= in_env and EVERYTHING <= set(in_headers)
    else:
        assert in_env == wanted and set(in_headers) == wanted
    # and by no other way
    if wanted is not None and "NAME" not in wanted:
        assert "Müller" not in json.dumps(whole, ensure_ascii=False) + json.dumps(in_headers, ensure_ascii=False)
    assert whole["LTI_MODE"] == "production", "a variable of the administrator's own"


def test_ways_can_be_chosen(places, zoe):
    for name, in_env, in_headers in (("nothing", False, False), ("only-env", True, False), ("only-headers", False, True), ("two/silent", False, False)):
        told, whole = env(places, zoe, f"/{name}/class.cgi?echo")
        assert bool(told) == in_env, name
        assert bool(headers(places, zoe, name)) == in_headers, name
        assert any(key.startswith("HTTP_X_LTI_") for key in whole) == in_headers, name
        assert whole["REMOTE_USER"] and whole["LTI_MODE"] == "production"


def test_expressions_and_logs(places, zoe):
    """An expression is the administrator's own word, and sees everything; a log sees what the application sees."""
    told = places.environment(zoe, "/two/class.cgi?echo")
    assert told["SEEN"] == "Z"
    lines = (places.httpd.root / "logs/who.log").read_text().splitlines()
    assert "learner|-" in lines


@pytest.mark.parametrize("name", ["none", "two", "nothing", "only-headers", "custom", "all"])
def test_part_of_a_page_is_told_what_its_own_place_allows(places, zoe, name):
    """The page itself, which is told everything, hands its variables on."""
    response = zoe.get(places.url(f"/parts/{name}.shtml"))
    assert response.status == 200
    check_derived(json.loads(response.text)[0], name)


@pytest.mark.parametrize("name", ["none", "two", "nothing", "only-headers", "custom", "all"])
def test_target_of_an_internal_redirect_is_told_what_its_own_place_allows(places, zoe, name):
    check_derived(places.environment(zoe, f"/parts/{name}"), name)


def check_derived(told, name):
    direct = {"none": set(), "nothing": set(), "only-headers": set()}.get(name, TOLD.get(name))
    found = {key.split("LTI_", 1)[1] for key in told if key.startswith(("LTI_", "REDIRECT_LTI_", "REDIRECT_REDIRECT_LTI_"))} - {"MODE"}
    if direct is None:
        assert EVERYTHING <= found
    else:
        assert found == direct
        assert {key[len("HTTP_X_LTI_") :] for key in told if "HTTP_X_LTI_" in key} <= direct | {"REMOTE_USER"} or name == "only-headers"
    if name in ("none", "two", "nothing", "custom"):
        assert "Müller" not in json.dumps(told, ensure_ascii=False)
    assert not [key for key in told if key.startswith("REDIRECT_LTI_") and key != "REDIRECT_LTI_MODE"]


def test_part_of_a_page_behind_the_proxy(places, zoe):
    names = {name.lower() for name, _ in json.loads(zoe.get(places.url("/parts/app.shtml")).text)["headers"] if name.lower().startswith("x-lti-")}
    assert names == {"x-lti-remote-user", "x-lti-role", "x-lti-course-key"}


# --- limits -----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def told(places, zoe):
    """What both ways tell of a launch whose claims were changed."""

    def launch(change, name="all"):
        places.campus.tamper_claims = change
        try:
            browser = places.launch("zoe")
        finally:
            places.campus.tamper_claims = None
        return headers(places, browser, name), places.environment(browser, "/all/class.cgi?echo")

    return launch


CUSTOM = "https://purl.imsglobal.org/spec/lti/claim/custom"


def with_custom(values):
    return lambda claims: {**claims, CUSTOM: values}


def test_header_has_at_most_four_kilobytes(told):
    text = "abc " * 1000 + "é" * 40  # 4,080 bytes
    exact, _ = told(with_custom({"long": text + "x" * 16}))
    assert exact["CUSTOM_LONG"] == text + "x" * 16 and "TRUNCATED" not in exact
    cut, environment = told(with_custom({"long": text + "x" * 17}))
    assert cut["CUSTOM_LONG"] == ("abc " * 1000).rstrip() and cut["TRUNCATED"] == "X-LTI-Custom-long"
    assert environment["LTI_CUSTOM_LONG"] == text + "x" * 17, "only headers have limits"


def test_header_is_cut_at_a_whole_character(told):
    cut, _ = told(with_custom({"long": "x" * 4095 + "é"}))
    assert cut["CUSTOM_LONG"] == "x" * 4095
    cut, _ = told(with_custom({"long": "x" * 4094 + "é" + "y"}))
    assert cut["CUSTOM_LONG"] == "x" * 4094 + "é"
    cut, _ = told(with_custom({"long": "語" * 1400}))
    assert cut["CUSTOM_LONG"] == "語" * 1365


@pytest.mark.parametrize("lead", range(9))
def test_encoded_header_is_cut_between_characters(told, lead):
    """Never inside of %XX, nor between those of one character."""
    whole = "x" * lead + "é語" * 800
    cut, _ = told(with_custom({"long": whole}), "encoded")
    text = cut["CUSTOM_LONG"]
    assert len(text) <= 4096 and cut["TRUNCATED"] == "X-LTI-Custom-long"
    decoded = unquote(text, errors="strict")
    assert whole.startswith(decoded) and len(text) > 4096 - 9


def test_all_headers_together_have_at_most_sixteen_kilobytes(told):
    """Ours; what comes too late in the table is left out, and named."""
    found, environment = told(with_custom({f"p{number}": str(number) * 3500 for number in range(1, 6)}))
    sizes = sum(len("x-lti-" + name) + len(value.encode()) for name, value in found.items() if name != "TRUNCATED")
    assert sizes <= 16384 < sizes + 3600
    left_out = found["TRUNCATED"].split(",")
    assert {name.removeprefix("X-LTI-").upper().replace("-", "_") for name in left_out} == {f"CUSTOM_P{number}" for number in range(1, 6)} - set(found)
    assert 1 <= len(left_out) <= 3 and all(f"LTI_CUSTOM_P{number}" in environment for number in range(1, 6))


def test_many_headers_are_bounded(told):
    """Servers take some hundred headers in a request; small ones fit into the cookie and are counted all the same."""
    for values in ({f"k{number}": "v" for number in range(60)}, {f"k{number}": "v" * 40 for number in range(60)}):
        found, _ = told(with_custom(values))
        assert 40 < len(found) <= 65 and "X-LTI-Custom-k" in found["TRUNCATED"]
        assert len(found["TRUNCATED"]) <= 1024


def test_surplus_roles_are_cut_between_roles(told):
    roles = [f"https://roles.example/vocabulary/{'long' * 10}/role#{number}" for number in range(80)]
    claim = "https://purl.imsglobal.org/spec/lti/claim/roles"
    found, environment = told(lambda claims: {**claims, claim: roles + claims[claim]})
    kept = found["ROLES"].split()
    assert found["TRUNCATED"] == "X-LTI-Roles" and len(found["ROLES"]) <= 4096
    assert set(kept) < set(environment["LTI_ROLES"].split()) and found["ROLE"] == "learner"


def test_all_roles_of_the_vocabulary_fit_nowhere_but_in_the_environment(told):
    """In the cookie each is a number, in a header a long text."""
    base, claim = "http://purl.imsglobal.org/vocab/lis/v2/", "https://purl.imsglobal.org/spec/lti/claim/roles"
    subs = [
        f"{base}membership/Instructor#{name}"
        for name in "ExternalInstructor Grader GuestInstructor Lecturer PrimaryInstructor SecondaryInstructor TeachingAssistant TeachingAssistantGroup "
        "TeachingAssistantOffering TeachingAssistantSection TeachingAssistantSectionAssociation TeachingAssistantTemplate".split()
    ] + [f"{base}membership/Mentor#{name}" for name in "Advisor Auditor ExternalAdvisor ExternalAuditor ExternalLearningFacilitator ExternalMentor ExternalReviewer ExternalTutor LearningFacilitator Mentor Reviewer Tutor".split()]
    subs += [f"{base}membership/Administrator#{name}" for name in "Administrator Developer ExternalDeveloper ExternalSupport ExternalSystemAdministrator Support SystemAdministrator".split()]
    subs += [f"{base}institution/person#{name}" for name in "Administrator Alumni Faculty Guest Instructor Learner Member Mentor None Observer Other ProspectiveStudent Staff Student".split()]
    subs += [f"{base}membership/Officer#{name}" for name in "Chair Communications Secretary Treasurer Vice-Chair".split()]
    subs += [base + "membership/Member#Member", base + "membership/Learner#NonCreditLearner", base + "membership/Learner#GuestLearner"]
    subs += [f"{base}membership/Manager#{name}" for name in "AreaManager CourseCoordinator ExternalObserver Manager Observer".split()]
    found, environment = told(lambda claims: {**claims, claim: subs})
    assert environment["LTI_ROLES"].split() == sorted(subs)
    assert len(environment["LTI_ROLES"]) > 4096 >= len(found["ROLES"]) and found["TRUNCATED"] == "X-LTI-Roles"
    assert set(found["ROLES"].split()) < set(subs)


# --- configuration ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["shoe", "role shoe_size", "all role", "role all", "none role", "CUSTOM_", "remote_user", "*", "role*", "LTI_LTI_ROLE"])
def test_unknown_names_are_found_by_the_config_test(make_stage, rule):
    stage = make_stage().configure(extra=f'<Location "/app">\n    LTIPassClaims {rule}\n</Location>')
    code, output = stage.httpd.configtest()
    line = stage.httpd.line_of("LTIPassClaims")
    assert code != 0 and "role course_key custom_*" in output, output
    assert f"{stage.httpd.conf}:{line}" in output or f"line {line} of" in output

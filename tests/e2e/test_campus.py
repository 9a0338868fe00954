# SPDX-License-Identifier: Apache-2.0
"""The campus itself: it must be strict where platforms are, and its faults must be faults. Driven by a toy tool, without httpd."""
import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from campus import Campus
from campus_keys import make_key
from campus_protocol import ASSERTION_TYPE, LTI, NRPS_CLAIM, NRPS_SCOPE, NRPS_TYPE
from client import Browser
from httpd import free_port
from jwcrypto import jwk, jws

NONCE, STATE = "n" * 22, "s" * 22


TOOL_KEY = make_key("RS256")


class ToyTool:
    """A tool that is nothing but a key set."""

    def __init__(self):
        self.port = free_port()
        self.key = TOOL_KEY
        tool = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps({"keys": [tool.key.export_public(as_dict=True)]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def sign(self, claims, **header):
        token = jws.JWS(json.dumps(claims))
        token.add_signature(self.key, protected=json.dumps({"alg": "RS256", "kid": self.key["kid"], **header}))
        return token.serialize(compact=True)


@pytest.fixture
def tool():
    toy = ToyTool()
    yield toy
    toy.server.shutdown()
    toy.server.server_close()


@pytest.fixture
def campus(tool):
    campus = Campus(tool_base=f"http://localhost:{tool.port}").start()
    yield campus
    campus.stop()


def start(campus, person="zoe", course="BIO1", **options):
    """What the campus posts to the tool's login."""
    form = Browser().get(campus.open_url(person, course, **options)).form()
    assert form.action == campus.tool.login_url
    return form.fields


def request_for(campus, login, **changes):
    """The authentication request of a correct tool; changes replace or (None) remove parameters."""
    parameters = {
        "scope": "openid",
        "response_type": "id_token",
        "response_mode": "form_post",
        "prompt": "none",
        "client_id": campus.tool.client_id,
        "redirect_uri": campus.tool.redirect_uris[0],
        "login_hint": login["login_hint"],
        "lti_message_hint": login["lti_message_hint"],
        "state": STATE,
        "nonce": NONCE,
    }
    parameters.update(changes)
    return {name: value for name, value in parameters.items() if value is not None}


def authorize(campus, parameters):
    return Browser().get(f"{campus.auth_url}?{urllib.parse.urlencode(parameters)}")


def id_token(campus, **options):
    form = authorize(campus, request_for(campus, start(campus, **options))).form()
    return form.fields["id_token"]


def payload(campus, token):
    keys = jwk.JWKSet.from_json(requests.get(campus.jwks_url, timeout=5).text)
    seen = jws.JWS()
    seen.allowed_algs = ["RS256", "ES256"]
    seen.deserialize(token)
    seen.verify(keys.get_key(seen.jose_header["kid"]))
    return json.loads(seen.payload), seen.jose_header


def assertion(campus, tool, **changes):
    now = int(time.time())
    claims = {
        "iss": campus.tool.client_id,
        "sub": campus.tool.client_id,
        "aud": campus.token_url,
        "iat": now,
        "exp": now + 300,
        "jti": f"j{time.monotonic_ns()}",
    }
    claims.update(changes)
    return tool.sign({name: value for name, value in claims.items() if value is not None})


def ask_token(campus, text, **changes):
    fields = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": text,
        "scope": NRPS_SCOPE,
    }
    fields.update(changes)
    return requests.post(campus.token_url, fields, timeout=5)


def bearer(campus, tool):
    answer = ask_token(campus, assertion(campus, tool))
    assert answer.status_code == 200, answer.text
    return {"Authorization": "Bearer " + answer.json()["access_token"], "Accept": NRPS_TYPE}


def roster_url(campus, course="BIO1"):
    return f"{campus.issuer}/nrps/{campus.state.course(course).id}"


# --- login and authorization ------------------------------------------------------------------------------------------------------


def test_login_has_all_parameters_by_form_and_by_redirect(campus):
    fields = start(campus)
    assert set(fields) == {"iss", "login_hint", "target_link_uri", "lti_message_hint", "client_id", "lti_deployment_id"}
    assert fields["iss"] == campus.issuer and fields["target_link_uri"].endswith("/app/")
    answer = Browser().get(campus.open_url("zoe", "BIO1", "cgi", method="get"))
    assert answer.status == 302
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(answer.location).query)["target_link_uri"][0].endswith("/cgi/class.cgi")


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_id_token_is_signed_and_complete(campus, alg):
    campus.keys.alg = alg
    claims, header = payload(campus, id_token(campus))
    person = campus.state.person("zoe")
    assert header["alg"] == alg
    assert claims["sub"] == person.id and claims["name"] == "Zoë Müller" and claims["nonce"] == NONCE
    assert claims[LTI + "deployment_id"] == "d-1" and claims[LTI + "version"] == "1.3.0"
    assert claims[LTI + "roles"] == ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"]
    assert claims[NRPS_CLAIM]["context_memberships_url"] == roster_url(campus)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"scope": "openid profile"}, "invalid_request"),
        ({"scope": None}, "invalid_request"),
        ({"response_type": "code"}, "invalid_request"),
        ({"response_mode": None}, "invalid_request"),
        ({"prompt": None}, "invalid_request"),
        ({"state": "short"}, "invalid_request"),
        ({"nonce": None}, "invalid_request"),
        ({"extra": "1"}, "invalid_request"),
        ({"login_hint": "somebody"}, "access_denied"),
        ({"lti_message_hint": None}, "launch_no_longer_valid"),
        ({"lti_message_hint": "invented"}, "launch_no_longer_valid"),
    ],
)
def test_authorization_refuses_each_wrong_parameter(campus, change, code):
    fields = authorize(campus, request_for(campus, start(campus), **change)).form().fields
    assert fields["error"] == code and "id_token" not in fields


@pytest.mark.parametrize("change", [{"client_id": "other"}, {"redirect_uri": "http://localhost/elsewhere"}, {"redirect_uri": None}])
def test_authorization_tells_no_stranger(campus, change):
    answer = authorize(campus, request_for(campus, start(campus), **change))
    assert answer.status == 400 and "<form" not in answer.text


def test_hint_and_nonce_are_good_once(campus):
    first = request_for(campus, start(campus))
    assert "id_token" in authorize(campus, first).form().fields
    assert authorize(campus, dict(first, nonce="m" * 22)).form().fields["error"] == "launch_no_longer_valid"
    again = request_for(campus, start(campus))
    assert authorize(campus, again).form().fields["error"] == "invalid_request"


def test_hint_ends_after_five_minutes(campus):
    parameters = request_for(campus, start(campus))
    campus.hints[parameters["lti_message_hint"]][0].made_at -= 301
    assert authorize(campus, parameters).form().fields["error"] == "launch_no_longer_valid"


def test_dropped_person_cannot_open_the_tool(campus):
    parameters = request_for(campus, start(campus))
    campus.state.drop("BIO1", "zoe")
    assert authorize(campus, parameters).form().fields["error"] == "access_denied"


def test_forged_and_tampered_tokens_are_so(campus):
    campus.forge_signature = True
    with pytest.raises(jws.InvalidJWSSignature):
        payload(campus, id_token(campus))
    campus.forge_signature = False
    campus.nonces.clear()
    campus.tamper_claims = lambda claims: dict(claims, sub="mallory")
    assert payload(campus, id_token(campus))[0]["sub"] == "mallory"


def test_rotation_changes_the_key_and_may_keep_the_old(campus):
    old = {key["kid"] for key in requests.get(campus.jwks_url, timeout=5).json()["keys"]}
    campus.keys.rotate(keep_old=True)
    both = {key["kid"] for key in requests.get(campus.jwks_url, timeout=5).json()["keys"]}
    campus.keys.rotate(keep_old=False)
    new = {key["kid"] for key in requests.get(campus.jwks_url, timeout=5).json()["keys"]}
    assert old < both and not new & both
    assert all("d" not in key for key in requests.get(campus.jwks_url, timeout=5).json()["keys"])


# --- tokens -------------------------------------------------------------------------------------------------------------------------


def test_token_for_a_right_assertion(campus, tool):
    answer = ask_token(campus, assertion(campus, tool)).json()
    assert answer["token_type"] == "Bearer" and answer["scope"] == NRPS_SCOPE and answer["expires_in"] == 3600


@pytest.mark.parametrize(
    ("claims", "fields", "code"),
    [
        ({"iss": "other"}, {}, "invalid_client"),
        ({"sub": None}, {}, "invalid_client"),
        ({"aud": "http://localhost/token"}, {}, "invalid_client"),
        ({"jti": None}, {}, "invalid_client"),
        ({"iat": "1"}, {}, "invalid_client"),
        ({"exp": 1}, {}, "invalid_client"),
        ({"exp": None}, {}, "invalid_client"),
        ({}, {"scope": ""}, "invalid_scope"),
        ({}, {"scope": "openid"}, "invalid_scope"),
        ({}, {"grant_type": "password"}, "unsupported_grant_type"),
        ({}, {"client_assertion_type": "x"}, "invalid_request"),
    ],
)
def test_token_refuses_each_wrong_assertion(campus, tool, claims, fields, code):
    answer = ask_token(campus, assertion(campus, tool, **claims), **fields)
    assert answer.status_code == 400 and answer.json()["error"] == code


def test_token_refuses_replay_strange_keys_and_an_absent_tool(campus, tool):
    text = assertion(campus, tool)
    assert ask_token(campus, text).status_code == 200
    assert ask_token(campus, text).json()["error"] == "invalid_client"
    text = assertion(campus, tool)
    tool.key = make_key("RS256")
    assert ask_token(campus, text).json()["error"] == "invalid_client"
    campus.tool.jwks_url = "http://localhost:1/jwks"
    assert "cannot be fetched" in ask_token(campus, assertion(campus, tool)).json()["error_description"]


# --- names and roles ------------------------------------------------------------------------------------------------------------------


def test_roster_pages_name_everybody_once(campus, tool):
    campus.page_cap = 4
    campus.state.set_status("BIO1", "alan", "Inactive")
    headers, address, seen, pages = bearer(campus, tool), roster_url(campus), [], 0
    while address:
        answer = requests.get(address, headers=headers, timeout=5)
        assert answer.status_code == 200 and answer.headers["Content-Type"] == NRPS_TYPE
        seen += [member["user_id"] for member in answer.json()["members"]]
        address, pages = answer.links.get("next", {}).get("url"), pages + 1
    assert pages == 4
    assert len(seen) == len(set(seen)) == 13 and campus.state.person("alan").id not in seen


def test_roster_honours_limit_below_its_cap(campus, tool):
    answer = requests.get(roster_url(campus) + "?limit=3", headers=bearer(campus, tool), timeout=5)
    assert len(answer.json()["members"]) == 3 and "limit=3&offset=3" in answer.links["next"]["url"]


def test_roster_roles_are_short_or_full(campus, tool):
    headers = bearer(campus, tool)

    def roles_of(login):
        members = requests.get(roster_url(campus), headers=headers, timeout=5).json()["members"]
        return next(member["roles"] for member in members if member["user_id"] == campus.state.person(login).id)

    assert roles_of("zoe") == ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"]
    campus.short_roles = True
    assert roles_of("zoe") == ["Learner"] and roles_of("grace") == ["TeachingAssistant", "Instructor"]


@pytest.mark.parametrize("accept", ["*/*", "application/json", NRPS_TYPE + ", application/json", NRPS_TYPE.upper(), NRPS_TYPE + ";q=1.0"])
def test_roster_compares_accept_literally(campus, tool, accept):
    assert requests.get(roster_url(campus), headers=dict(bearer(campus, tool), Accept=accept), timeout=5).status_code == 400


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense", "bearer"])
def test_roster_needs_its_token(campus, tool, authorization):
    headers = bearer(campus, tool)
    if authorization == "bearer":
        authorization = headers["Authorization"].replace("Bearer", "bearer")
    assert requests.get(roster_url(campus), headers=dict(headers, Authorization=authorization), timeout=5).status_code == 401


def test_faults_of_the_roster(campus, tool):
    headers = bearer(campus, tool)

    def ask():
        return requests.get(roster_url(campus), headers=headers, timeout=5)

    campus.faults["nrps"] = {"down": True, "times": 1}
    with pytest.raises(requests.ConnectionError):
        ask()
    campus.faults["nrps"] = {"status": 503, "headers": [("Retry-After", "7")]}
    assert (ask().status_code, ask().headers["Retry-After"]) == (503, "7")
    campus.faults["nrps"] = {"truncate": True}
    assert 0 < len(ask().content) < int(ask().headers["Content-Length"])
    campus.faults["nrps"] = {"malformed": True}
    with pytest.raises(ValueError):
        ask().json()
    campus.faults["nrps"] = {"html": True}
    assert ask().headers["Content-Type"].startswith("text/html")
    campus.faults["nrps"] = {"empty": True}
    assert ask().json()["members"] == []
    campus.faults["nrps"] = {"loop": True}
    assert ask().links["next"]["url"] == roster_url(campus)
    campus.faults["nrps"] = {"next": "http://127.0.0.1:1/steal"}
    assert ask().links["next"]["url"] == "http://127.0.0.1:1/steal"
    campus.faults["nrps"] = {"after": 1, "status": 500}
    assert [ask().status_code, ask().status_code] == [200, 500]
    campus.faults.clear()
    held = threading.Event()
    campus.faults["nrps"] = {"wait": held, "times": 1}
    threading.Timer(0.2, held.set).start()
    began = time.monotonic()
    assert ask().status_code == 200 and time.monotonic() - began >= 0.15  # sleep and monotonic clock need not agree to the millisecond


def test_stopped_campus_refuses_connections_and_comes_back(campus):
    session = requests.Session()
    assert session.get(campus.jwks_url, timeout=5).status_code == 200
    campus.stop()
    with pytest.raises(requests.ConnectionError):
        session.get(campus.jwks_url, timeout=5)
    campus.start()
    assert requests.get(campus.jwks_url, timeout=5).status_code == 200


# --- pages ----------------------------------------------------------------------------------------------------------------------------


def test_pages_show_courses_and_people_escaped(campus):
    home = requests.get(campus.issuer + "/", timeout=5)
    assert "Biology I: Cells &amp; Tissues" in home.text
    page = requests.get(f"{campus.issuer}/course/{campus.state.course('BIO1').id}", timeout=5).text
    assert "Zoë Müller" in page and "李小龍" in page and "🦉" in page
    assert "&lt;b&gt;Bobby&lt;/b&gt;" in page and "<b>Bobby" not in page


def test_forms_enrol_change_and_drop(campus):
    state, course = campus.state, campus.state.course("BIO1")
    address, person = f"{campus.issuer}/course/{course.id}", state.person("rosa").id

    def post(what, **fields):
        return requests.post(f"{address}/{what}", dict(fields, person=person), allow_redirects=False, timeout=5).status_code

    assert post("enrol", role="learner") == 303 and course.enrolments[person].role == "learner"
    assert post("role", role="instructor") == 303 and course.enrolments[person].role == "instructor"
    assert post("role", role="emperor") == 400
    assert post("drop") == 303 and person not in course.enrolments
    assert post("explode") == 400


def test_forms_take_nothing_from_other_sites(campus):
    course = campus.state.course("BIO1")
    answer = requests.post(
        f"{campus.issuer}/course/{course.id}/drop",
        {"person": campus.state.person("zoe").id},
        headers={"Origin": "http://evil.example"},
        timeout=5,
    )
    assert answer.status_code == 404 and campus.state.person("zoe").id in course.enrolments


def test_frame_page_holds_the_tool(campus):
    course, person = campus.state.course("BIO1"), campus.state.person("zoe")
    page = requests.get(f"{campus.issuer}/frame?course={course.id}&person={person.id}&link=cgi", timeout=5).text
    assert "<iframe" in page and "target=iframe" in page and "Zoë Müller" in page


def test_unknown_things_are_404_and_bad_forms_400(campus):
    for path in ("/nothing", "/course/c-none", "/open?course=c-none&person=x&link=cgi", "/open"):
        assert requests.get(campus.issuer + path, timeout=5).status_code == 404, path
    assert requests.get(campus.auth_url + "?state=a&state=b", timeout=5).status_code == 400
    assert requests.get(campus.auth_url + "?state=%ff", timeout=5).status_code == 400


def test_demo_seed_runs_as_a_program(tmp_path):
    import re
    import subprocess
    import sys
    from pathlib import Path

    port = free_port()
    script = Path(__file__).resolve().parent.parent / "campus/campus.py"
    program = subprocess.Popen(
        [sys.executable, str(script), "--port", str(port), "--tool", "http://localhost:1"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert re.match(rf"campus: http://localhost:{port}/", program.stdout.readline())
        assert "Mathematik" in requests.get(f"http://localhost:{port}/", timeout=5).text
    finally:
        program.terminate()
        assert program.wait(5) == 0

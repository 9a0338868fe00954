# SPDX-License-Identifier: Apache-2.0
"""The platform's side of LTI 1.3, as strict as the strictest platform in the field: login, authorization, token, names and roles.

Each function takes the campus and a request and returns an Answer. Nothing here is lenient: a tool that passes here sends exactly what the
specifications ask for.
"""
import json
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from jwcrypto import jwk, jws

from campus_state import COURSE_OFFERING, ROLES

LTI = "https://purl.imsglobal.org/spec/lti/claim/"
NRPS_CLAIM = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
NRPS_SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
NRPS_TYPE = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
HINT_LIFETIME = 300
TOKEN_LIFETIME = 3600
ID_TOKEN_LIFETIME = 300
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the tool is on this machine: no proxy between


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    headers: list = field(default_factory=list)


def json_answer(value, status=200, content_type="application/json", headers=()):
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return Answer(status, text.encode(), content_type, [("Cache-Control", "no-store"), *headers])


class Repeated(ValueError):
    """A parameter came twice."""


def parse_form(text):
    """Parameters of a query or a form, each at most once."""
    form = {}
    for name, value in urllib.parse.parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="strict"):
        if name in form:
            raise Repeated(name)
        form[name] = value
    return form


# --- login: what the platform sends the browser to the tool with --------------------------------------------------------------------


@dataclass
class Hint:
    person_id: str
    course_id: str
    link: str
    target: str
    made_at: float


def login_parameters(campus, person, course, link, document_target):
    """Remembers who opens what, and gives the parameters of the login initiation."""
    state = campus.state
    person, course = state.person(person), state.course(course)
    placement = course.links[link]
    hint = secrets.token_urlsafe(18)
    target = campus.tool.base_url + placement.path
    with state.lock:
        campus.hints[hint] = (Hint(person.id, course.id, link, target, time.time()), document_target)
    parameters = {
        "iss": campus.issuer,
        "login_hint": person.id,
        "target_link_uri": target,
        "lti_message_hint": hint,
        "client_id": campus.tool.client_id,
        "lti_deployment_id": campus.tool.deployment_id,
    }
    if campus.storage is not None:
        parameters["lti_storage_target"] = campus.storage
    if campus.tamper_login is not None:
        parameters = campus.tamper_login(parameters)
    return parameters


# --- authorization --------------------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """An authorization request that the tool hears about: error code and description."""


class Broken(Exception):
    """One that it does not hear about, since the redirect URI cannot be trusted: a page at the platform."""


def _take_hint(campus, form):
    """The hint is good once, unless the campus is told otherwise; a wrong login_hint burns it too."""
    hint = form.get("lti_message_hint", "")
    with campus.state.lock:
        entry = campus.hints.pop(hint, None) if campus.hints_once else campus.hints.get(hint)
    if entry is None or time.time() - entry[0].made_at > HINT_LIFETIME:
        raise Refused("launch_no_longer_valid", "the message hint is unknown, used or older than five minutes")
    if form.get("login_hint") != entry[0].person_id:
        raise Refused("access_denied", "login_hint is not the person who opened the link")
    return entry


def check_authorization(campus, form):
    """SPEC A-01 to A-10, each of them. Returns the hint's entry."""
    if form.get("client_id") != campus.tool.client_id:
        raise Broken("client_id is not registered here")
    if form.get("redirect_uri") not in campus.tool.redirect_uris:
        raise Broken("redirect_uri is not registered, letter for letter")
    for name, wanted in (("scope", "openid"), ("response_type", "id_token"), ("response_mode", "form_post"), ("prompt", "none")):
        if form.get(name) != wanted:
            raise Refused("invalid_request", f"{name} must be {wanted}")
    for name, least in (("state", 22), ("nonce", 22)):
        if len(form.get(name, "")) < least:
            raise Refused("invalid_request", f"{name} is missing or holds less than 128 bits")
    if form["nonce"] in campus.nonces:
        raise Refused("invalid_request", "nonce was used before")
    unknown = set(form) - {
        "scope", "response_type", "response_mode", "prompt", "client_id", "redirect_uri", "login_hint", "lti_message_hint", "state", "nonce",
    }  # fmt: skip
    if unknown:
        raise Refused("invalid_request", "unknown parameters: " + " ".join(sorted(unknown)))
    entry = _take_hint(campus, form)
    campus.nonces.add(form["nonce"])
    return entry


def id_token_claims(campus, hint, document_target, nonce):
    state, tool = campus.state, campus.tool
    with state.lock:
        person, course = state.person(hint.person_id), state.course(hint.course_id)
        enrolment = course.enrolments.get(person.id)
    if enrolment is None or enrolment.status != "Active":
        raise Refused("access_denied", "the person is not enrolled in this course")
    link = course.links[hint.link]
    now = int(time.time())
    claims = {
        "iss": campus.issuer,
        "aud": tool.client_id,
        "azp": tool.client_id,
        "sub": person.id,
        "iat": now,
        "exp": now + ID_TOKEN_LIFETIME,
        "nonce": nonce,
        "name": person.name,
        "given_name": person.given,
        "family_name": person.family,
        "email": person.email,
        "locale": person.locale,
        LTI + "message_type": "LtiResourceLinkRequest",
        LTI + "version": "1.3.0",
        LTI + "deployment_id": tool.deployment_id,
        LTI + "target_link_uri": hint.target,
        LTI + "resource_link": {"id": link.id, "title": link.title},
        LTI + "roles": ROLES[enrolment.role][1],
        LTI + "context": {"id": course.id, "label": course.label, "title": course.title, "type": [COURSE_OFFERING]},
        LTI + "lis": {"person_sourcedid": person.sourcedid, "course_section_sourcedid": "SIS-" + course.label},
        LTI + "tool_platform": {"guid": "campus", "name": "Campus", "product_family_code": "campus", "version": "1"},
        LTI + "launch_presentation": {
            "document_target": document_target,
            "locale": person.locale,
            "return_url": f"{campus.pages_url}/course/{course.id}",
        },
        LTI + "custom": dict(link.custom, login=person.login),
    }
    if campus.groups is not None:
        campus.groups.add_claims(claims, person, course)
    if campus.family is not None:
        return campus.family.claims(claims, person, course, enrolment)
    if campus.nrps_claim:
        claims[NRPS_CLAIM] = {"context_memberships_url": f"{campus.issuer}/nrps/{course.id}", "service_versions": ["2.0"]}
    return claims


def authorize(campus, form):
    """What is posted to the redirect URI: (address, fields)."""
    if campus.auth_error is not None:
        return form["redirect_uri"], {"error": campus.auth_error, "error_description": "as told", "state": form.get("state", "")}
    try:
        (hint, document_target) = check_authorization(campus, form)
        claims = id_token_claims(campus, hint, document_target, form["nonce"])
    except Refused as refused:
        code, description = refused.args
        return form["redirect_uri"], {"error": code, "error_description": description, "state": form.get("state", "")}
    if campus.tamper_claims is not None:
        claims = campus.tamper_claims(claims)
    if campus.make_token is not None:
        token = campus.make_token(claims)
    else:
        token = campus.keys.sign(claims)
    if campus.forge_signature:
        head, payload, signature = token.split(".")
        middle = len(signature) // 2
        signature = signature[:middle] + ("A" if signature[middle] != "A" else "B") + signature[middle + 1 :]
        token = ".".join((head, payload, signature))
    return form["redirect_uri"], {"id_token": token, "state": form["state"]}


# --- access tokens --------------------------------------------------------------------------------------------------------------------


class TokenError(Exception):
    """OAuth error code and description."""


def _tool_keys(campus):
    try:
        with DIRECT.open(campus.tool.jwks_url, timeout=5) as answer:
            return jwk.JWKSet.from_json(answer.read().decode())
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise TokenError("invalid_client", f"the tool's key set cannot be fetched: {error}") from error


def check_assertion(campus, assertion):
    """SPEC 5.3: every claim, as Canvas and Blackboard demand together. Returns the claims."""
    try:
        token = jws.JWS()
        token.allowed_algs = ["RS256", "ES256"]
        token.deserialize(assertion)
        header = token.jose_header
    except (jws.InvalidJWSObject, ValueError) as error:
        raise TokenError("invalid_client", f"the assertion is no JWS: {error}") from error
    key = _tool_keys(campus).get_key(header.get("kid", ""))
    if key is None:
        raise TokenError("invalid_client", "kid is not in the tool's key set")
    try:
        token.verify(key)
        claims = json.loads(token.payload)
    except (jws.InvalidJWSSignature, ValueError) as error:
        raise TokenError("invalid_client", "the assertion's signature is wrong") from error
    now = campus.now()
    for name in ("iat", "exp"):
        if not isinstance(claims.get(name), int):
            raise TokenError("invalid_client", f"{name} must be a number")
    if claims.get("iss") != campus.tool.client_id or claims.get("sub") != campus.tool.client_id:
        raise TokenError("invalid_client", "iss and sub must be the client id")
    audience = campus.token_url if campus.family is None else campus.family.audience
    if audience is not None and claims.get("aud") not in (audience, [audience]):
        raise TokenError("invalid_client", "aud must be the token end point")
    if not now - 300 <= claims["iat"] <= now + 30 or not now < claims["exp"] <= claims["iat"] + 300:
        raise TokenError("invalid_client", "iat and exp do not fit")
    with campus.state.lock:
        if not claims.get("jti") or claims["jti"] in campus.assertion_ids:
            raise TokenError("invalid_client", "jti is missing or was used before")
        campus.assertion_ids.add(claims["jti"])
    return claims


def token(campus, form):
    try:
        if form.get("grant_type") != "client_credentials":
            raise TokenError("unsupported_grant_type", "grant_type must be client_credentials")
        if form.get("client_assertion_type") != ASSERTION_TYPE or not form.get("client_assertion"):
            raise TokenError("invalid_request", "a client assertion is needed")
        claims = check_assertion(campus, form["client_assertion"])
        asked = form.get("scope", "").split(" ")
        granted = [scope for scope in asked if scope == NRPS_SCOPE and campus.nrps_granted]
        if campus.family is not None:
            granted = campus.family.granted(asked)
        if campus.groups is not None:
            granted += campus.groups.scopes(asked)
        if not granted:
            raise TokenError("invalid_scope", "no scope that this tool may have was asked for")
    except TokenError as error:
        code, description = error.args
        if campus.family is not None:
            return campus.family.token_error(code, description)
        return json_answer({"error": code, "error_description": description}, 400)
    value = secrets.token_urlsafe(32)
    with campus.state.lock:
        campus.assertions.append(claims)
        campus.tokens[value] = (campus.now() + TOKEN_LIFETIME, granted)
    if campus.family is not None:
        return campus.family.token_answer(value, TOKEN_LIFETIME, granted)
    return json_answer({"access_token": value, "token_type": "Bearer", "expires_in": TOKEN_LIFETIME, "scope": " ".join(granted)})


# --- names and roles ------------------------------------------------------------------------------------------------------------------


def _refuse(status, reason):
    return json_answer({"status": status, "reason": reason}, status)


def member(campus, person, enrolment):
    """A member as the roster has it: short role names or full ones, and what tests want to be different from the launch."""
    value = {
        "user_id": person.id,
        "status": enrolment.status,
        "roles": ROLES[enrolment.role][2 if campus.short_roles else 1],
        "name": person.name,
        "given_name": person.given,
        "family_name": person.family,
        "email": person.email,
        "lis_person_sourcedid": person.sourcedid,
    }
    if campus.tamper_member is not None:
        value = campus.tamper_member(value)
    return value


def _number(text):
    return int(text) if text.isascii() and text.isdigit() else 0


def nrps(campus, course_id, query, headers, fault):
    if campus.family is not None:
        return campus.family.roster(course_id, query, headers)
    bearer = headers.get("Authorization", "")
    expires_at, scopes = campus.tokens.get(bearer[len("Bearer ") :], (0, []))
    if not bearer.startswith("Bearer ") or expires_at < campus.now() or NRPS_SCOPE not in scopes:
        return _refuse(401, "Unauthorized")
    # Moodle compares the header as one literal string; so does the campus.
    if headers.get("Accept") != NRPS_TYPE:
        return _refuse(400, "No handler found")
    try:
        course = campus.state.course(course_id)
        form = parse_form(query)
    except (KeyError, ValueError):
        return _refuse(404, "Not Found")
    if campus.groups is not None and campus.groups.refuses(course, form):
        return _refuse(400, campus.groups.refuses(course, form))
    people = [item for item in campus.state.roster(course) if item[1].status == "Active" or campus.list_inactive]
    limit, offset = _number(form.get("limit", "")), _number(form.get("offset", ""))
    size = min(size for size in (limit, campus.page_cap, len(people) or 1) if size > 0)
    page = people[offset : offset + size]
    url = f"{campus.issuer}/nrps/{course.id}"
    following = f"{url}?limit={size}&offset={offset + size}" if offset + size < len(people) else None

    members = [member(campus, person, enrolment) for person, enrolment in page]
    if campus.groups is not None:
        for value, (person, _) in zip(members, page):
            campus.groups.add_member(value, person, form)
        following = following and following + campus.groups.kept(form)
    if fault.get("empty"):
        members, following = [], None
    following = fault.get("next", following)
    if fault.get("loop"):
        following = f"{url}?{query}" if query else url
    body = {
        "id": url,
        "context": {"id": course.id, "label": course.label, "title": course.title},
        "members": members,
    }
    links = [("Link", f'<{following}>; rel="next"')] if following else []
    return json_answer(body, 200, NRPS_TYPE, links)

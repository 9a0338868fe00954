# SPDX-License-Identifier: Apache-2.0
"""The campus plays a platform of another family: its addresses, its paging, its roles, its words for no.

    campus.play("moodle")

From then on access tokens and rosters are given as such a platform was seen to give them, where that differs from the campus's own manners; pages for people
stay as they are. What tests switch is an attribute of `campus.family`.
"""
import html
import json
import re
import time

from campus_protocol import LTI, NRPS_CLAIM, NRPS_SCOPE, NRPS_TYPE, Answer, json_answer, parse_form
from campus_state import MEMBERSHIP, ROLES

PERSON = "https://purl.imsglobal.org/vocab/lis/v2/person"
LEGACY_TYPE = "application/vnd.ims.lis.v2.membershipcontainer+json"
DAMAGED_KID = '{ "error" : ""kid" invalid, unable to lookup correct key" }'


def _number(text):
    return int(text) if text.isascii() and text.isdigit() else 0


class Family:
    """Manners that most share; the families differ from it. `paths` leads from their addresses to those of the campus."""

    name = ""
    paths = {}
    roster_path = "/nrps/{course}"
    media_type = NRPS_TYPE
    page_default = None  # of members, when nobody asks for a limit; None: all
    page_most = None  # whatever is asked
    offset_name = "offset"
    needs_user_agent = False
    short_roles = False

    def __init__(self, campus):
        self.campus = campus
        # switches
        self.service_on = True  # the roster service is switched on for this tool
        self.names_on = True  # the tool may have names and addresses of people
        self.maintenance = False

    # --- addresses ------------------------------------------------------------------------------------------------------------

    def inner(self, path):
        """The campus's own path for what was asked for."""
        if path in self.paths:
            return self.paths[path]
        pattern = re.escape(self.roster_path.partition("?")[0]).replace(re.escape("{course}"), "([^/]+)")
        found = re.fullmatch(pattern, path)
        return f"/nrps/{found[1]}" if found else path

    def roster_url(self, course):
        return self.campus.issuer + self.roster_path.format(course=self.context_id(course))

    @property
    def token_url(self):
        return self.campus.issuer + next((path for path, inner in self.paths.items() if inner == "/token"), "/token")

    @property
    def audience(self):
        """What `aud` of an assertion must be; None: nobody looks."""
        return self.token_url

    # --- names ------------------------------------------------------------------------------------------------------------------

    def user_id(self, person):
        return person.id

    def context_id(self, course):
        return course.id

    def course(self, context_id):
        return next((course for course in self.campus.state.courses.values() if self.context_id(course) == context_id), None)

    # --- every request ----------------------------------------------------------------------------------------------------------

    def refuse(self, endpoint, headers):
        """An answer to what is not even looked at, or None."""
        if self.maintenance:
            return Answer(503, b"<!DOCTYPE html><title>Maintenance</title>\n", headers=[("Retry-After", "300")])
        if self.needs_user_agent and endpoint in ("token", "nrps") and not headers.get("User-Agent"):
            return Answer(403, b"<html><body>Forbidden: a User-Agent is required</body></html>\n")
        return None

    # --- launches -----------------------------------------------------------------------------------------------------------------

    def launch_roles(self, enrolment):
        return ROLES[enrolment.role][1]

    def service_claim(self, course):
        return {"context_memberships_url": self.roster_url(course), "service_versions": ["2.0"]}

    def claims(self, claims, person, course, enrolment):
        claims["sub"] = self.user_id(person)
        claims[LTI + "context"] = dict(claims[LTI + "context"], id=self.context_id(course))
        claims[LTI + "roles"] = self.launch_roles(enrolment)
        if not self.names_on:
            for name in ("name", "given_name", "family_name", "email"):
                claims.pop(name, None)
        claims.pop(NRPS_CLAIM, None)
        if self.service_on:
            claims[NRPS_CLAIM] = self.service_claim(course)
        return claims

    # --- access tokens --------------------------------------------------------------------------------------------------------------

    def granted(self, asked):
        return [scope for scope in asked if scope == NRPS_SCOPE and self.service_on and self.campus.nrps_granted]

    def token_answer(self, value, seconds, granted):
        return json_answer({"access_token": value, "token_type": "Bearer", "expires_in": seconds, "scope": " ".join(granted)})

    def token_error(self, code, description):
        return json_answer({"error": code, "error_description": description}, 400)

    # --- rosters --------------------------------------------------------------------------------------------------------------------

    def unauthorized(self, headers):
        return json_answer({"errors": {"type": "unauthorized", "message": "not authorized"}}, 401)

    def not_found(self, course_id, headers):
        return json_answer({"errors": {"type": "not_found", "message": "no such context"}}, 404)

    def check_accept(self, headers):
        return None

    def check_query(self, form):
        return None

    def roster_roles(self, person, enrolment):
        return ROLES[enrolment.role][2 if self.short_roles else 1]

    def people(self, course):
        """(person, enrolment) of those who are listed."""
        return [item for item in self.campus.state.roster(course) if item[1].status == "Active"]

    def member(self, person, enrolment):
        value = {
            "status": "Active",
            "roles": self.roster_roles(person, enrolment),
            "user_id": self.user_id(person),
            "lis_person_sourcedid": person.sourcedid,
        }
        if self.names_on:
            value.update(name=person.name, given_name=person.given, family_name=person.family, email=person.email)
        return value

    def context(self, course):
        return {"id": self.context_id(course), "label": course.label, "title": course.title}

    def page(self, people, form):
        """The people of a page, and the query of the next, None if there is none."""
        limit, offset = _number(form.get("limit", "")), _number(form.get(self.offset_name, ""))
        size = limit or self.page_default or len(people) or 1
        if self.page_most is not None:
            size = min(size, self.page_most)
        following = f"limit={size}&{self.offset_name}={offset + size}" if offset + size < len(people) else None
        return people[offset : offset + size], following

    def write(self, value):
        return json.dumps(value, ensure_ascii=False).encode()

    def roster(self, course_id, query, headers):
        campus = self.campus
        bearer = headers.get("Authorization", "")
        expires_at, scopes = campus.tokens.get(bearer[len("Bearer ") :], (0, []))
        if not bearer.startswith("Bearer ") or expires_at < time.time() or NRPS_SCOPE not in scopes or not self.service_on:
            return self.unauthorized(headers)
        form = parse_form(query)
        refusal = self.check_accept(headers) or self.check_query(form)
        if refusal is not None:
            return refusal
        course = self.course(course_id)
        if course is None:
            return self.not_found(course_id, headers)
        return self.answer(course, form)

    def answer(self, course, form):
        page, following = self.page(self.people(course), form)
        url = self.roster_url(course)
        members = [self.member(person, enrolment) for person, enrolment in page]
        if self.campus.tamper_member is not None:
            members = [self.campus.tamper_member(member) for member in members]
        links = []
        if following is not None:
            links = [("Link", f'<{url}{"&" if "?" in url else "?"}{following}>; rel="next"')]
        return Answer(200, self.write({"id": url, "context": self.context(course), "members": members}), self.media_type, links)


class Canvas(Family):
    """Fifty people a page, whatever is asked for. Its name in the audience has no port. A leaky bucket counts requests."""

    name = "canvas"
    paths = {
        "/api/lti/authorize_redirect": "/auth",
        "/login/oauth2/token": "/token",
        "/api/lti/security/jwks": "/jwks",
    }
    roster_path = "/api/lti/courses/{course}/names_and_roles"
    page_default = page_most = 50
    offset_name = "page_offset"
    needs_user_agent = True

    def __init__(self, campus):
        super().__init__(campus)
        self.bucket = 700.0  # what is left of it
        self.throttle_status = 429  # 403 before 2025

    @property
    def audience(self):
        return f"http://{self.campus.name}/login/oauth2/token"

    def check_query(self, form):
        if "rlid" in form:
            return json_answer({"errors": {"type": "bad_request", "message": "Requested ResourceLink bound to unexpected external tool"}}, 400)
        return None

    def answer(self, course, form):
        cost = [("X-Request-Cost", "0.8"), ("X-Rate-Limit-Remaining", f"{self.bucket}")]
        if self.bucket <= 0:
            return Answer(self.throttle_status, f"{self.throttle_status} Forbidden (Rate Limit Exceeded)\n".encode(), headers=cost)
        answer = super().answer(course, form)
        answer.headers += cost
        return answer

    def member(self, person, enrolment):
        return dict(super().member(person, enrolment), lti11_legacy_user_id=f"old-{person.id}", picture="https://example.edu/p.png")


class Moodle(Family):
    """Everybody in one answer unless a limit is asked for. JSON that says it is HTML, errors that are no JSON, names as markup, roles that are not those of the launch."""

    name = "moodle"
    paths = {"/mod/lti/auth.php": "/auth", "/mod/lti/token.php": "/token", "/mod/lti/certs.php": "/jwks"}
    roster_path = "/mod/lti/services.php/CourseSection/{course}/bindings/9/memberships"
    offset_name = "from"
    needs_user_agent = True
    audience = None

    def user_id(self, person):
        return str(3059 + list(self.campus.state.people).index(person.id))

    def context_id(self, course):
        return str(7 + list(self.campus.state.courses).index(course.id))

    def launch_roles(self, enrolment):
        return [MEMBERSHIP + ("#Learner" if enrolment.role == "learner" else "#Instructor")]

    def service_claim(self, course):
        return {"context_memberships_url": self.roster_url(course), "service_versions": ["1.0", "2.0"]}

    def claims(self, claims, person, course, enrolment):
        claims = super().claims(claims, person, course, enrolment)
        del claims["azp"]
        if self.service_on:
            claims[LTI + "custom"]["context_memberships_url"] = self.roster_url(course)
        claims["exp"] = claims["iat"] + 60
        return claims

    # tokens

    def _say(self, text, status=400):
        return Answer(status, text.encode(), "text/html; charset=utf-8")

    def token_answer(self, value, seconds, granted):
        body = {"access_token": value, "token_type": "Bearer", "expires_in": seconds, "scope": " ".join(granted)}
        return self._say(json.dumps(body, indent=4), 200)

    def token_error(self, code, description):
        if "cannot be fetched" in description:
            return self._say("<!DOCTYPE html><html><title>Error</title><body>Unable to fetch keys</body></html>\n", 404)
        if "kid is not" in description:
            return self._say(DAMAGED_KID)
        if "signature" in description:
            code = "Signature verification failed"
        elif "iat and exp" in description:
            code = "Cannot handle token prior to 2026-11-22T14:21:49+0000"
        return self._say(json.dumps({"error": code}))

    # rosters

    def _no(self, status, reason, headers):
        request = {"method": "GET", "url": "/mod/lti/services.php/...", "accept": headers.get("Accept", "")}
        return json_answer({"status": status, "reason": reason, "request": request}, status)

    def unauthorized(self, headers):
        return self._no(401, "Unauthorized", headers)

    def not_found(self, course_id, headers):
        return self._no(404, f"Not Found: Course {course_id} doesn't exist", headers)

    def check_accept(self, headers):
        accept = headers.get("Accept", "*/*")
        if accept == LEGACY_TYPE:
            old = {"@type": "Page", "pageOf": {"membershipSubject": {"membership": []}}}
            return Answer(200, json.dumps(old).encode(), LEGACY_TYPE)
        return None if accept == NRPS_TYPE or "*/*" in accept else self._no(400, "No handler found", headers)

    def check_query(self, form):
        if "rlid" in form and not form["rlid"].isdigit():
            return Answer(500, b"")
        return None

    def roster_roles(self, person, enrolment):
        roles = ["Instructor" if enrolment.role in ("instructor", "content-developer") else "Learner"]
        return [PERSON + "#Administrator", *roles] if person.login == "admin" else roles

    def member(self, person, enrolment):
        value = super().member(person, enrolment)
        for name in ("name", "given_name", "family_name"):
            if name in value:
                value[name] = html.escape(value[name]).replace("&#x27;", "&#039;")
        if self.names_on:
            value["ext_user_username"] = person.login
        return value

    def page(self, people, form):
        if not form.get("limit"):
            return people, None
        # A role narrows the first page only: the link to the next one has lost it.
        if form.get("role") in ("Learner", MEMBERSHIP + "#Learner"):
            people = [item for item in people if self.roster_roles(*item) == ["Learner"]]
        return super().page(people, form)

    def write(self, value):
        return json.dumps(value).replace("/", "\\/").encode()


class Blackboard(Family):
    """A thousand a page. Above that the last page may lead back to an earlier one. The claim names the scope once more; the token's type is spelled as it likes."""

    name = "blackboard"
    roster_path = "/learn/api/v1/lti/external/namesandroles/{course}?placement_id=_220_1"
    page_default = page_most = 1000

    def __init__(self, campus):
        super().__init__(campus)
        self.goes_in_circles = False

    def context_id(self, course):
        return f"_{220 + list(self.campus.state.courses).index(course.id)}_1"

    def service_claim(self, course):
        return {"context_memberships_url": self.roster_url(course), "scope": [NRPS_SCOPE], "service_versions": ["2.0"]}

    def token_answer(self, value, seconds, granted):
        return json_answer({"access_token": value, "token_type": "bEARER", "expires_in": seconds, "scope": " ".join(granted)})

    def check_query(self, form):
        return None if form.get("placement_id") == "_220_1" else json_answer({"status": 400, "message": "no placement"}, 400)

    def member(self, person, enrolment):
        value = dict(super().member(person, enrolment), middle_name="", group_enrollments=[])
        value["roles"] = [*value["roles"], "http://purl.imsglobal.org/vocab/lis/v2/institution/person#Student"]
        return value

    def page(self, people, form):
        page, following = super().page(people, form)
        if following is None and self.goes_in_circles and len(people) > self.page_most:
            following = f"limit={self.page_most}&{self.offset_name}={self.page_most}"
        return page, following


class Brightspace(Family):
    """The audience is not the token's address. The roster may hold only people who have launched already, and launches may come without a course."""

    name = "brightspace"
    paths = {"/d2l/lti/authenticate": "/auth", "/d2l/.well-known/jwks": "/jwks"}
    roster_path = "/d2l/api/lti/nrps/2.0/deployment/7d3a/orgunit/{course}/memberships"
    audience = "https://api.brightspace.com/auth/token"

    def __init__(self, campus):
        super().__init__(campus)
        self.only_known = False  # "classlist including users not known to this deployment" is off
        self.org_unit_on = True
        self.launched = set()

    def claims(self, claims, person, course, enrolment):
        self.launched.add(person.id)
        claims = super().claims(claims, person, course, enrolment)
        if not self.org_unit_on:
            del claims[LTI + "context"]
        return claims

    def people(self, course):
        return [item for item in super().people(course) if not self.only_known or item[0].id in self.launched]

    def member(self, person, enrolment):
        return dict(super().member(person, enrolment), email="")


class Schoology(Family):
    """A hundred a page; whoever names a link is refused."""

    name = "schoology"
    roster_path = "/lti-service/tool/1/services/names-roles/v2p0/membership/{course}"
    page_default = page_most = 100

    def check_query(self, form):
        if "rlid" in form:
            return json_answer({"message": '"query.rlid" is not allowed'}, 400)
        return None


class Sakai(Family):
    """Plain JSON, members with much besides, an empty body for an empty course, 403 for a token that is over."""

    name = "sakai"
    paths = {"/imsoidc/lti13/oidc_auth": "/auth", "/imsblis/lti13/token/12": "/token", "/imsblis/lti13/keyset": "/jwks"}
    roster_path = "/imsblis/lti13/namesandroles/{course}"
    media_type = "application/json;charset=UTF-8"
    offset_name = "start"

    def __init__(self, campus):
        super().__init__(campus)
        self.site_cap = None
        self.turns = False  # the order is another one with each page

    def granted(self, asked):
        return super().granted(asked) if asked == [NRPS_SCOPE] else []  # one that is refused fails all

    def unauthorized(self, headers):
        return Answer(403, b"Bad token\n", "text/plain")

    def context(self, course):
        return {"id": self.context_id(course), "title": course.title}

    def member(self, person, enrolment):
        value = super().member(person, enrolment)
        return dict(value, group_enrollments=[], sakai_ext={"sakai_role": "access"}, lti11_legacy_user_id=f"old-{person.id}")

    def page(self, people, form):
        self.page_most = self.site_cap
        if self.turns and form.get("start"):
            people = people[-1:] + people[:-1]
        return super().page(people, form)

    def answer(self, course, form):
        if not self.people(course):
            return Answer(200, b"", self.media_type)
        return super().answer(course, form)


class OpenEdx(Family):
    """More people than its limit are given to nobody, unless in pages; those came late."""

    name = "openedx"
    roster_path = "/api/lti_consumer/v1/lti/{course}/memberships"

    def __init__(self, campus):
        super().__init__(campus)
        self.most = 1000
        self.pages = True  # since June 2026
        self.names_on = False

    def check_query(self, form):
        if not self.pages:
            form.clear()
        return None

    def page(self, people, form):
        size, number = _number(form.get("limit", "")) or len(people) or 1, _number(form.get("page", "")) or 1
        following = f"limit={size}&page={number + 1}" if number * size < len(people) else None
        return people[(number - 1) * size : number * size], following

    def answer(self, course, form):
        if len(self.people(course)) > self.most and not form.get("limit"):
            return json_answer({"error": "above_response_limit", "explanation": "The number of active users is above the limit."}, 403)
        return super().answer(course, form)


class Small(Family):
    """What Coursera, Classera and others were seen to do: another context in the roster, or none; ids as numbers; short names of roles."""

    name = "small"
    media_type = "application/json"
    short_roles = True

    def __init__(self, campus):
        super().__init__(campus)
        self.roster_context = {"id": "course-v1:elsewhere"}
        self.tells_changes = False  # rosters say where their changes can be asked for
        self.told = []  # members by id, as each roster had them

    def user_id(self, person):
        return str(880001 + list(self.campus.state.people).index(person.id))

    def member(self, person, enrolment):
        value = super().member(person, enrolment)
        return dict(value, user_id=int(value["user_id"]))

    def context(self, course):
        return self.roster_context

    def answer(self, course, form):
        if not self.tells_changes:
            return super().answer(course, form)
        url, present = self.roster_url(course), {}
        for person, enrolment in self.people(course):
            present[self.user_id(person)] = self.member(person, enrolment)
        members = list(present.values())
        if "since" in form:
            before = self.told[int(form["since"])]
            members = [member for key, member in present.items() if before.get(key) != member]
            members += [{"user_id": int(key), "status": "Deleted"} for key in before if key not in present]
        self.told.append(present)
        links = [("Link", f'<{url}?since={len(self.told) - 1}>; rel="differences"')]
        return Answer(200, self.write({"id": url, "context": self.context(course), "members": members}), self.media_type, links)


FAMILIES = {family.name: family for family in (Canvas, Moodle, Blackboard, Brightspace, Schoology, Sakai, OpenEdx, Small)}

# SPDX-License-Identifier: Apache-2.0
"""Sections and groups at the campus: custom parameters of launches, the message section of a roster that is asked for with an rlid, group_enrollments, and the
Course Groups Service. Off until a test says `campus.groups = Groups(campus)`.

    groups.sections["zoe"] = ["Lab, Monday", "Section 1"]
    groups.add("g-1", "Team Ørsted", ["zoe", "ada"])
    groups.add("g-2", "Watch list", ["zoe"], hidden=True)
"""
import json
import time
from dataclasses import dataclass

GROUPS_CLAIM = "https://purl.imsglobal.org/spec/lti-gs/claim/groupsservice"
GROUPS_SCOPE = "https://purl.imsglobal.org/spec/lti-gs/scope/contextgroup.readonly"
GROUPS_TYPE = "application/vnd.ims.lti-gs.v1.contextgroupcontainer+json"
LTI = "https://purl.imsglobal.org/spec/lti/claim/"


@dataclass
class Group:
    id: str
    name: str
    members: list  # logins
    hidden: bool = False


class Groups:
    def __init__(self, campus):
        self.campus = campus
        self.sections = {}  # login -> names
        self.groups = {}  # id -> Group; the campus has them in each course
        # switches
        self.commas = False  # sections as text with commas, not as a JSON list
        self.in_launch = True  # launches tell sections
        self.takes_rlid = True  # else an rlid is refused
        self.message_object = False  # one object in place of the array, as one platform has it
        self.offered = True  # the groups service
        self.granted = True  # its scope
        self.page_size = 2

    def add(self, key, name, members, hidden=False):
        self.groups[key] = Group(key, name, members, hidden)

    def value(self, person):
        """The custom parameter; unresolved where the campus knows no sections of the person."""
        names = self.sections.get(person.login)
        if names is None:
            return "$com.instructure.User.sectionNames"
        return ",".join(names) if self.commas else json.dumps(names)

    def add_claims(self, claims, person, course):
        custom = claims[LTI + "custom"]
        custom["sections"] = self.value(person) if self.in_launch else "$com.instructure.User.sectionNames"
        if self.offered:
            claims[GROUPS_CLAIM] = {
                "context_groups_url": f"{self.campus.issuer}/groups/{course.id}",
                "scope": [GROUPS_SCOPE],
                "service_versions": ["1.0"],
            }

    def scopes(self, asked):
        return [GROUPS_SCOPE] if self.granted and GROUPS_SCOPE in asked else []

    def refuses(self, course, form):
        """A reason to refuse a roster, or None."""
        return "rlid" in form and (not self.takes_rlid or form["rlid"] != course.id) and "bad rlid"

    def add_member(self, value, person, form):
        if "rlid" in form:
            message = {LTI + "message_type": "LtiResourceLinkRequest", LTI + "custom": {"sections": self.value(person)}}
            value["message"] = message if self.message_object else [message]
        if form.get("groups") == "true":
            value["group_enrollments"] = [{"group_id": group.id} for group in self.groups.values() if person.login in group.members]

    def kept(self, form):
        """What the next link of a roster keeps of the query."""
        return "".join(f"&{name}={form[name]}" for name in ("rlid", "groups") if name in form)

    def serve(self, course_id, query, headers, form, answer):
        """`answer` is json_answer of the protocol."""
        bearer = headers.get("Authorization", "")
        expires_at, scopes = self.campus.tokens.get(bearer[len("Bearer ") :], (0, []))
        if expires_at < time.time() or GROUPS_SCOPE not in scopes:
            return answer({"status": 401, "reason": "Unauthorized"}, 401)
        if headers.get("Accept") != GROUPS_TYPE:
            return answer({"status": 406, "reason": "Not Acceptable"}, 406)
        url = f"{self.campus.issuer}/groups/{course_id}"
        begin = int(form.get("offset", "0"))
        everybody = list(self.groups.values())
        page = [{"id": group.id, "name": group.name, "hidden": group.hidden} for group in everybody[begin : begin + self.page_size]]
        links = []
        if begin + self.page_size < len(everybody):
            links = [("Link", f'<{url}?offset={begin + self.page_size}>; rel="next"')]
        return answer({"id": url, "groups": page}, 200, GROUPS_TYPE, links)

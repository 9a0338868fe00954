# SPDX-License-Identifier: Apache-2.0
"""A reader of rosters as the Names and Role Provisioning Services 2.0 describe it, and no more: it knows nothing of this module. It sends the one media type, reads the container
and its required members, follows `next` as it is, and takes whatever it does not know for an extension."""
import http.client
import json
import re
import urllib.parse

MEDIA_TYPE = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
TEXTS = ("name", "given_name", "family_name", "middle_name", "email", "picture", "lis_person_sourcedid", "lti11_legacy_user_id", "picture")
LINK = re.compile(r'\s*<([^<>]*)>((?:\s*;\s*[\w!#$&+.^`|~-]+\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^\s",;]+))?)*)\s*')


class NotAsSpecified(AssertionError):
    pass


def demand(condition, what):
    if not condition:
        raise NotAsSpecified(what)


def links(headers):
    """rel -> address of all Link headers (RFC 8288)."""
    found = {}
    for header in headers:
        at = 0
        while at < len(header):
            link = LINK.match(header, at)
            demand(link, f"Link cannot be read: {header}")
            rel = re.search(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]+))', link[2], re.I)
            for word in (rel[1] or rel[2] or "").lower().split() if rel else ():
                found.setdefault(word, link[1])
            at = link.end()
            demand(at == len(header) or header[at] == ",", f"Link cannot be read: {header}")
            at += 1
    return found


def read_member(member):
    demand(isinstance(member, dict), "a member is an object")
    demand(isinstance(member.get("user_id"), str) and 1 <= len(member["user_id"]) <= 255, "user_id is required")
    demand(isinstance(member.get("roles"), list) and all(isinstance(role, str) and role for role in member["roles"]), "roles are required, as texts")
    demand(member.get("status", "Active") in ("Active", "Inactive"), "the status is Active or Inactive; Deleted is for differences")
    for name in TEXTS:
        demand(isinstance(member.get(name, ""), str), f"{name} is a text")
    return member


def read_page(address, headers):
    """(container, address of the next page or None)."""
    parts = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        connection.request("GET", parts.path + ("?" + parts.query if parts.query else ""), headers={"Accept": MEDIA_TYPE, **headers})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    demand(answer.status == 200, f"{answer.status} for {address}")
    demand((answer.getheader("Content-Type") or "").partition(";")[0].strip().lower() == MEDIA_TYPE, "the media type is another")
    container = json.loads(body.decode("utf-8"))
    demand(isinstance(container, dict), "the container is an object")
    demand(isinstance(container.get("id"), str) and urllib.parse.urlsplit(container["id"]).scheme in ("http", "https"), "id is the address")
    demand(isinstance(container.get("context"), dict) and isinstance(container["context"].get("id"), str), "context.id is required")
    demand(isinstance(container.get("members"), list), "members are an array")
    following = links(answer.headers.get_all("Link") or []).get("next")
    return container, urllib.parse.urljoin(address, following) if following is not None else None


def read_roster(address, role=None, limit=None, token=None):
    """All members, and how many pages they were."""
    query = {name: value for name, value in (("role", role), ("limit", limit)) if value is not None}
    if query:
        address += ("&" if "?" in address else "?") + urllib.parse.urlencode(query)
    headers = {"Authorization": "Bearer " + token} if token else {}
    members, pages, seen = {}, 0, set()
    while address:
        demand(address not in seen, "next leads back")
        seen.add(address)
        container, address = read_page(address, headers)
        pages += 1
        for member in container["members"]:
            demand(member.get("user_id") not in members, "a member comes twice")
            members[member["user_id"]] = read_member(member)
    return members, pages

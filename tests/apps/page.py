# SPDX-License-Identifier: Apache-2.0
"""What both example applications show: who you are, your role, your course, and everybody in it.

`person` is a function from a name such as "ROLE" to what httpd told the application (or ""); where that comes from, request headers or the environment,
is the application's matter. The class list is asked of httpd, server to server, at ROSTER_URL.
"""
import html
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request

MEDIA_TYPE = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
PAGES_MAX = 100
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the class list is on this machine: no proxy between

ROLE_WORDS = {
    "administrator": "an administrator",
    "instructor": "a teacher",
    "teaching-assistant": "a teaching assistant",
    "content-developer": "a content developer",
    "manager": "a manager",
    "observer": "an observer",
    "mentor": "a mentor",
    "learner": "a student",
    "member": "a member",
    "guest": "a guest",
}

STYLE = """
:root { color-scheme: light dark; --paper: #f4f8f7; --card: #fff; --ink: #17252a; --soft: #56686e; --line: #d6e2e0; --mark: #0f6b60 }
@media (prefers-color-scheme: dark) { :root { --paper: #10191a; --card: #182325; --ink: #e2ecea; --soft: #9bb0ad; --line: #2c3b3d; --mark: #63c7b8 } }
* { box-sizing: border-box }
body { margin: 0; padding: 1rem; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 48rem; margin: 0 auto }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .4rem 0 }
h2 { font-size: 1.1rem; margin: 1.4rem 0 .5rem }
.soft { color: var(--soft) }
.card { background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--mark); border-radius: .5rem; padding: 1rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .6rem 0 0 }
dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .5rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .4rem .8rem; border-top: 1px solid var(--line) }
thead th { border-top: 0; color: var(--soft); font-size: .85rem }
tr.you { font-weight: 600 }
"""


class RosterError(Exception):
    """Why there is no class list, for the person who reads the page."""


def short_role(roles):
    """The last word of the first role: enough for a table."""
    return re.split(r"[#/]", roles[0])[-1] if roles else "no role"


def fetch_roster(course_key, roster_url=None):
    """All members of the course, page by page."""
    roster_url = roster_url or os.environ.get("ROSTER_URL")
    if not roster_url:
        raise RosterError("ROSTER_URL is not set, so this application cannot ask for the class list.")
    address = f"{roster_url}?{urllib.parse.urlencode({'course': course_key})}"
    members = []
    for _ in range(PAGES_MAX):
        request = urllib.request.Request(address, headers={"Accept": MEDIA_TYPE})
        try:
            with DIRECT.open(request, timeout=5) as answer:
                members += json.load(answer)["members"]
                following = re.search(r'<([^>]+)>;\s*rel="?next"?', answer.headers.get("Link", ""))
        except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
            raise RosterError(f"The class list is not there yet ({error}).") from error
        if not following:
            return members
        address = urllib.parse.urljoin(address, following[1])
    raise RosterError("The class list has no end.")


def esc(text):
    return html.escape(str(text), quote=True)


def class_list(person, members):
    you = person("USER_ID")
    rows = "".join(
        ('<tr class="you">' if member.get("user_id") == you else "<tr>")
        + f'<td>{esc(member.get("name") or member.get("user_id"))}</td><td>{esc(short_role(member.get("roles", [])))}</td>'
        f'<td class="soft">{esc(member.get("email", ""))}</td></tr>'
        for member in sorted(members, key=lambda member: member.get("family_name") or member.get("name") or "")
    )
    return (
        f'<div class="scroll"><table id="class"><thead><tr><th>Name</th><th>Role</th><th>E-mail</th></tr></thead><tbody>{rows}</tbody></table></div>'
        f'<p class="soft" id="count">{len(members)} people</p>'
    )


def render(person, how, roster_url=None):
    """The page. `how` says where the identity was read from."""
    name = person("NAME") or person("USER_ID")
    if not name:
        body = '<div class="card"><h1>Nobody is signed in</h1><p>Please open this page from your course.</p></div>'
    else:
        facts = "".join(
            f'<dt>{label}</dt><dd id="{field.lower()}">{esc(person(field))}</dd>'
            for label, field in (
                ("Signed in as", "REMOTE_USER"),
                ("Role", "ROLE"),
                ("Course", "CONTEXT_TITLE"),
                ("E-mail", "EMAIL"),
                ("Opened from", "RESOURCE_LINK_TITLE"),
            )
        )
        try:
            people = class_list(person, fetch_roster(person("COURSE_KEY"), roster_url))
        except RosterError as error:
            people = f'<p class="soft" id="no-class">{esc(error)}</p>'
        body = (
            f'<div class="card"><h1 id="greeting">Welcome, {esc(name)}</h1>'
            f'<p>You are {esc(ROLE_WORDS.get(person("ROLE"), "here without a role"))} in {esc(person("CONTEXT_TITLE"))}.</p><dl>{facts}</dl></div>'
            f"<h2>Class list</h2>{people}"
        )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Course app</title><style>{STYLE}</style></head>
<body><main>{body}<p class="soft">This application reads {esc(how)}, and nothing else.</p></main></body></html>
"""

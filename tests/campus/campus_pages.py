# SPDX-License-Identifier: Apache-2.0
"""The campus's pages. Everything that comes from records passes through `esc`."""
import html
import urllib.parse

from campus_state import ROLES

STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --card: #fff; --ink: #1d2430; --soft: #5d6675; --line: #e1ddd3; --mark: #7a2e3a; --wash: #f3efe6 }
@media (prefers-color-scheme: dark) {
 :root { --paper: #15181d; --card: #1d2128; --ink: #e8e6e1; --soft: #a0a7b3; --line: #333943; --mark: #e39aa6; --wash: #242932 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
header.top { border-bottom: 3px solid var(--mark); background: var(--card); padding: .7rem 1rem }
header.top a.home { font: 600 1.2rem/1 Georgia, serif; color: var(--mark); text-decoration: none; letter-spacing: .02em }
header.top nav { display: inline; margin-left: 1rem; color: var(--soft) }
main { max-width: 62rem; margin: 0 auto; padding: 1rem }
h1 { font: 600 1.6rem/1.25 Georgia, serif; margin: .6rem 0 }
h2 { font: 600 1.15rem/1.3 Georgia, serif; margin: 1.6rem 0 .5rem }
p.soft, .soft { color: var(--soft) }
a { color: var(--mark) }
.cards { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); padding: 0; list-style: none }
.cards li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem }
.cards a { font-weight: 600; text-decoration: none }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .5rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .5rem .7rem; border-top: 1px solid var(--line); vertical-align: top }
thead th { border-top: 0; background: var(--wash); font-size: .85rem; color: var(--soft) }
td form { display: inline; white-space: nowrap }
.open { white-space: nowrap; font-size: .92rem }
.open div { margin-bottom: .15rem }
select, button, input { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: .35rem; padding: .2rem .5rem }
button { cursor: pointer }
button.main { background: var(--mark); color: var(--paper); border-color: var(--mark); padding: .4rem .9rem }
iframe { display: block; width: 100%; height: 75vh; border: 1px solid var(--line); border-radius: .5rem; background: var(--card) }
@media (max-width: 44rem) {
 table, tbody, tr, td { display: block; width: 100% } thead { display: none }
 tr { border-top: 1px solid var(--line); padding: .4rem 0 } td { border: 0; padding: .2rem .7rem }
}
"""


def esc(text):
    return html.escape(str(text), quote=True)


def page(title, body, crumbs=()):
    trail = "".join(f' › <a href="{esc(address)}">{esc(text)}</a>' for text, address in crumbs)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{esc(title)}</title><style>{STYLE}</style></head>
<body><header class="top"><a class="home" href="/">Campus</a><nav>{trail}</nav></header>
<main>{body}</main></body></html>
"""


def message(title, text):
    return page(title, f"<h1>{esc(title)}</h1><p>{esc(text)}</p>")


def home(state):
    with state.lock:
        courses = list(state.courses.values())
    items = "".join(
        f'<li><a href="/course/{esc(course.id)}">{esc(course.title)}</a><br>'
        f'<span class="soft">{esc(course.label)} · {len(course.enrolments)} people</span></li>'
        for course in courses
    )
    return page(
        "Campus",
        "<h1>Courses</h1><p class='soft'>A small learning platform for trying the tool. Open a course, "
        "then open the tool as any person in it.</p>"
        f"<ul class='cards'>{items}</ul>",
    )


def role_select(chosen):
    options = "".join(
        f'<option value="{esc(word)}"{" selected" if word == chosen else ""}>{esc(ROLES[word][0])}</option>' for word in ROLES
    )
    return f'<select name="role" aria-label="Role">{options}</select>'


def open_address(course, person, link, how):
    query = urllib.parse.urlencode({"course": course.id, "person": person.id, "link": link})
    return f"/{'frame' if how == 'iframe' else 'open'}?{query}"


def person_row(course, person, enrolment):
    links = "".join(
        f'<div>{esc(link.title)}: '
        f'<a id="frame-{esc(name)}-{esc(person.login)}" href="{esc(open_address(course, person, name, "iframe"))}">in a frame</a> · '
        f'<a id="tab-{esc(name)}-{esc(person.login)}" target="_blank" href="{esc(open_address(course, person, name, "window"))}">in a new tab</a></div>'
        for name, link in course.links.items()
    )
    hidden = f'<input type="hidden" name="person" value="{esc(person.id)}">'
    inactive = "" if enrolment.status == "Active" else f' <span class="soft">({esc(enrolment.status.lower())})</span>'
    return (
        f'<tr id="person-{esc(person.login)}"><td><strong>{esc(person.name)}</strong>{inactive}<br>'
        f'<span class="soft">{esc(person.email)}</span></td>'
        f'<td><form method="post" action="/course/{esc(course.id)}/role">{hidden}{role_select(enrolment.role)} '
        f"<button>Change</button></form> "
        f'<form method="post" action="/course/{esc(course.id)}/drop">{hidden}<button>Drop</button></form></td>'
        f'<td class="open">{links}</td></tr>'
    )


def course_page(state, course):
    with state.lock:
        others = [person for person in state.people.values() if person.id not in course.enrolments]
    rows = "".join(person_row(course, person, enrolment) for person, enrolment in state.roster(course))
    choices = "".join(f'<option value="{esc(person.id)}">{esc(person.name)}</option>' for person in others)
    enrol = (
        f'<h2>Enrol somebody</h2><form method="post" action="/course/{esc(course.id)}/enrol">'
        f'<select name="person" aria-label="Person">{choices}</select> {role_select("learner")} '
        f'<button class="main">Enrol</button></form>'
        if others
        else ""
    )
    return page(
        course.title,
        f"<h1>{esc(course.title)}</h1><p class='soft'>{esc(course.label)} · {len(course.enrolments)} people. "
        "“In a frame” and “in a new tab” open the tool as that person.</p>"
        f'<div class="scroll"><table><thead><tr><th>Person</th><th>Role</th><th>Open the tool as this person</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{enrol}",
        [(course.title, f"/course/{course.id}")],
    )


def frame_page(course, person, link_name, more=""):
    link = course.links[link_name]
    query = urllib.parse.urlencode({"course": course.id, "person": person.id, "link": link_name, "target": "iframe"})
    return page(
        link.title,
        f"<h1>{esc(link.title)}</h1><p class='soft'>opened as {esc(person.name)}</p>"
        f'<iframe id="tool" title="{esc(link.title)}" src="/open?{esc(query)}"></iframe>{more}',
        [(course.title, f"/course/{course.id}")],
    )


def auto_form(action, fields, title):
    """A form that submits itself, with a button for browsers without scripts."""
    inputs = "".join(f'<input type="hidden" name="{esc(name)}" value="{esc(value)}">' for name, value in fields.items())
    return page(
        title,
        f'<form id="go" method="post" action="{esc(action)}">{inputs}'
        '<noscript><p>Scripts are off in this browser.</p><button class="main">Continue</button></noscript></form>'
        "<script>document.getElementById('go').submit()</script>",
    )

# SPDX-License-Identifier: Apache-2.0
"""What stands in a page of the module: texts by id, rows of tables by the id around them, forms with their fields, links, and whether it reloads itself."""
import re
import urllib.parse
from html.parser import HTMLParser

from httpd import wait_for

HTML = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
VOID = ("meta", "link", "input", "br", "hr", "img", "wbr")


class Facts(HTMLParser):
    def __init__(self, response):
        super().__init__()
        assert response.header("Content-Type").startswith("text/html"), response
        self.response = response
        self.texts, self.tables, self.forms, self.links, self.tags = {}, {}, [], {}, []
        self.refresh = None
        self._open, self._rows, self._cell = [], None, None
        self.feed(response.text)
        header = response.header("Refresh")
        if header:
            self.refresh = header
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append((tag, values))
        if tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            self.refresh = values["content"]
        if tag == "h1":
            values = {**values, "id": "h1"}
        if tag not in VOID:
            self._open.append((tag, values.get("id")))
        if values.get("id") is not None:
            assert values["id"] not in self.texts, f"the id {values['id']} comes twice"
            self.texts[values["id"]] = ""
        if tag == "table":
            around = next(name for _, name in reversed(self._open) if name is not None)
            self._rows = self.tables.setdefault(around, [])
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th") and self._rows is not None:
            self._rows[-1].append("")
            self._cell = self._rows[-1]
        elif tag == "form":
            self.forms.append({"": values})
        elif tag in ("input", "button") and values.get("name"):
            self.forms[-1][values["name"]] = values.get("value", "")
        elif tag == "a":
            self.links[values.get("id") or values.get("href")] = urllib.parse.urljoin(self.response.url, values["href"])

    def handle_endtag(self, tag):
        while self._open:
            opened, _ = self._open.pop()
            if opened == tag:
                break
            assert opened in ("li", "p", "tr", "td", "th", "dt", "dd", "option"), f"<{opened}> is closed by </{tag}>"
        if tag in ("td", "th"):
            self._cell = None
        elif tag == "table":
            self._rows = None

    def handle_data(self, data):
        for _, name in self._open:
            if name is not None:
                self.texts[name] += data
        if self._cell is not None:
            self._cell[-1] += data

    def text(self, name):
        return re.sub(r"\s+", " ", self.texts[name]).strip()

    def rows(self, name):
        """Without the head."""
        return [[re.sub(r"\s+", " ", cell).strip() for cell in row] for row in self.tables[name][1:]]

    def form(self, action):
        """Fields of the form whose field `action` has that value, or whose address ends with it."""
        return next(form for form in self.forms if form.get("action") == action or form[""].get("action", "").partition("?")[0].endswith(action))

    def next_address(self):
        """Where it goes on by itself; None if it stays."""
        if self.refresh is None:
            return None
        address = self.refresh.partition(";")[2].strip().removeprefix("url=")
        return urllib.parse.urljoin(self.response.url, address) if address else self.response.url


def look(browser, address):
    response = browser.get(address, [HTML])
    assert response.status == 200, response
    return Facts(response)


def press(browser, facts, action, **more):
    """Sends the form as a browser without scripts does; returns the answer."""
    form = dict(facts.form(action))
    where = urllib.parse.urljoin(facts.response.url, form.pop("")["action"])
    return browser.post(where, {**form, **more}, headers=[HTML])


def rest(browser, facts, timeout=20.0):
    """Lets the page go on by itself until it stays; returns all texts of `progress` on the way, and the last page."""
    seen = [facts.texts.get("progress", "")]

    def stays():
        nonlocal facts
        if facts.refresh is None:
            return True
        facts = look(browser, facts.next_address())
        seen.append(facts.texts.get("progress", ""))
        return facts.refresh is None

    wait_for(stays, "the page to stay", timeout, 0.1)
    return [re.sub(r"\s+", " ", text).strip() for text in seen], facts


# --- people with odd names ----------------------------------------------------------------------------------------------------------------

HOSTILE = [
    ("<script>document.title='taken'</script>", ""),
    ("\"><img src=x onerror=\"document.title='taken'\">", "O'Neil"),
    ("W" * 300, "nobreak"),
    ("\u202eesrever", "\u202e"),
    ("a\u0300" * 200, "marks"),
    ("&lt;b&gt;", "&amp;"),
    ("]]>", "--><script>document.title='taken'</script>"),
]


def start_big(stage):
    """A course with a hostile title, of 1,021 people, whose list comes in pages; `stage.ada` teaches it."""
    state = stage.campus.state
    for number, (given, family) in enumerate(HOSTILE):
        state.enrol("BIO1", state.add_person(f"odd{number}", given, family), "learner")
    for number in range(1000):
        state.enrol("BIO1", state.add_person(f"s{number:04}", "Student", f"Number {number:04}"), "learner")
    state.course("BIO1").title = "<script>document.title='taken'</script> & \"Biology\" " + "X" * 200
    stage.campus.page_cap = 200
    stage.start()
    stage.ada = stage.launch("ada")
    stage.key = stage.wait_roster(stage.ada, timeout=30)
    return stage


# --- in a real browser ----------------------------------------------------------------------------------------------------------------------


def phone(driver):
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True})


def dark(driver):
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})


def fits(driver):
    """Nothing is wider than the window."""
    return driver.execute_script("return document.documentElement.scrollWidth <= document.documentElement.clientWidth + 1")


def complaints(driver, stage):
    """What the browser says against pages of the module."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE" and stage.httpd.base_url + "/lti" in entry["message"]]


def update_slowly(driver, stage, name):
    """Presses "Update now" while the platform takes its time: the page tells of pages and people and then of the one person who joined, without being loaded anew."""
    from test_browser import find, picture

    stage.campus.faults["nrps"] = {"slow": 0.5}
    driver.execute_script(
        "window.told = []; const place = document.getElementById('progress');"
        "new MutationObserver(() => told.push(place.textContent.trim())).observe(place, {childList: true, subtree: true, characterData: true});"
    )
    find(driver, "#update button").click()
    try:
        told = wait_for(lambda: [text for text in driver.execute_script("return window.told") or [] if re.search("page [2-9]", text)], "progress by pages", 20)
        picture(driver, name)
    finally:
        stage.campus.faults.clear()
    assert re.search(r"[\d,]+ people so far", told[-1]), told
    wait_for(lambda: "1 person joined" in find(driver, "#progress").text, "the result", 20)
    assert driver.execute_script("return window.told"), "the page was loaded anew"

# SPDX-License-Identifier: Apache-2.0
"""Launches of LTI 1.1: refused with a page that says how to install the tool instead, and remembered for the administrator, however many come."""
import html
import http.client
import re
import threading
import time
import urllib.parse

import database
import pytest
from client import Browser
from httpd import wait_for

MIXED = "Söhne & Töchter <b>'\";--\U0001f989"


def old_launch(**changes):
    """What a platform posts; the signature is never looked at."""
    fields = {
        "lti_message_type": "basic-lti-launch-request",
        "lti_version": "LTI-1p0",
        "oauth_version": "1.0",
        "oauth_nonce": "n",
        "oauth_timestamp": "1700000000",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_signature": "x",
        "oauth_callback": "about:blank",
        "oauth_consumer_key": "key-1",
        "tool_consumer_instance_guid": "campus.example.edu",
        "tool_consumer_instance_name": "Campus",
        "tool_consumer_info_product_family_code": "moodle",
        "context_id": "7",
        "context_title": "Biology I",
        "resource_link_id": "3",
        "user_id": "u-1",
        "roles": "Learner",
    }
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not None}


@pytest.fixture(scope="module")
def tool(make_shared_stage):
    return with_tables(make_shared_stage().configure(pace="LTISync Off"))


def with_tables(stage):
    stage.start().launch("zoe")
    return stage


def rows(stage):
    return stage.httpd.store.execute("SELECT consumer_key, instance, product, context_title FROM lti_old_launch ORDER BY consumer_key")


def remembered(stage, fields):
    """Such launches repeat; one that comes within a second of another is not written."""
    key, found = fields["oauth_consumer_key"], None

    def look():
        nonlocal found
        found = next((row for row in rows(stage) if row[0] == key), None)
        return found or post(stage, fields).error != "old-lti"

    wait_for(look, f"{key} to be remembered", 10, 0.3)
    assert found, "refused for another reason"
    return found


def post(stage, fields, end_point="launch", **options):
    return Browser().post(stage.url(f"/lti/{end_point}"), fields, origin="https://campus.example.edu", **options)


@pytest.mark.parametrize("end_point", ["launch", "login"])
def test_page_tells_how_to_install_the_tool(tool, end_point):
    """Administrators paste either address."""
    fields = old_launch(oauth_consumer_key=f"key-{end_point}")
    refused = post(tool, fields, end_point)
    assert (refused.status, refused.error) == (400, "old-lti")
    assert not refused.set_cookies and "no-store" in refused.header("Cache-Control")
    text = html.unescape(refused.text)
    for address in ("/lti/login", "/lti/launch", "/lti/jwks"):
        assert f"<code>{tool.url(address)}</code>" in text, address
    assert "LTI 1.1" in text and "roster" in text and "client id" in text and "LTI 1.3" in text
    assert "old-lti" in text and re.search(r"request <code>[a-z2-7]{13}</code>", text), text
    assert "campus.example.edu" not in refused.text, "what is not proven is not shown"
    assert remembered(tool, fields) == (f"key-{end_point}", "campus.example.edu (Campus)", "moodle", "Biology I")


def test_launch_in_the_query_of_a_login(tool):
    query = urllib.parse.urlencode(old_launch())
    refused = Browser().get(tool.url(f"/lti/login?{query}"))
    assert (refused.status, refused.error) == (400, "old-lti")
    assert Browser().get(tool.url(f"/lti/launch?{query}")).status == 405


def test_line_breaks_and_other_oddities_do_not_hide_what_it_is(tool):
    """Descriptions have line breaks; a launch of today with such a value is refused for it, one of old times is still recognised."""
    odd = old_launch(oauth_consumer_key="odd-1", resource_link_description="one\r\ntwo", lis_person_name_full="\x01")
    assert post(tool, odd).error == "old-lti"
    assert remembered(tool, odd)[3] == "Biology I"
    assert post(tool, old_launch(oauth_consumer_key="odd-2", context_title="Bio\nlogy")).error == "old-lti"
    assert post(tool, {"state": "s", "id_token": "t\n"}).error == "parameter-invalid"
    body = urllib.parse.urlencode(old_launch(oauth_consumer_key="odd-3")).encode() + b"&custom_x=%zz&custom_y=%ff"
    assert post(tool, None, body=body).error == "old-lti"


def test_long_and_foreign_texts_are_kept_within_limits(tool):
    fields = old_launch(oauth_consumer_key="long " + MIXED, tool_consumer_instance_guid="g" * 3000, context_title=MIXED * 100)
    refused = post(tool, fields)
    assert refused.error == "old-lti" and MIXED not in html.unescape(refused.text)
    (key, instance, _, title) = remembered(tool, fields)
    assert key == "long " + MIXED and 200 < len(instance) <= 255 and title.startswith(MIXED) and len(title.encode()) <= 255
    assert remembered(tool, old_launch(oauth_consumer_key="", tool_consumer_instance_guid=None, tool_consumer_instance_name=None))[1] == ""


def test_a_flood_writes_little_and_holds_nobody_up(tool):
    """At most one row a second, whatever is posted."""
    before = len(rows(tool))
    began, times, wrong = time.monotonic(), [], []

    def pour(name):
        while time.monotonic() - began < 2.2:
            start = time.monotonic()
            answer = post(tool, old_launch(oauth_consumer_key=f"flood-{name}-{len(times)}"))
            times.append(time.monotonic() - start)
            if answer.error != "old-lti":
                wrong.append(answer)

    threads = [threading.Thread(target=pour, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    assert not wrong, wrong[:3]
    time.sleep(1.2)
    assert 1 <= len(rows(tool)) - before <= took + 3 < len(times) / 4, (len(times), took)
    assert max(times) < 2


def test_no_more_than_a_hundred_are_remembered(tool):
    store, now = tool.httpd.store, int(time.time() * 1e6)
    store.execute("DELETE FROM lti_old_launch")
    for number in range(100):
        store.execute(f"INSERT INTO lti_old_launch (consumer_key, instance, first_seen_at, seen_at) VALUES ('full-{number}', '', {now}, {now})")
    assert post(tool, old_launch(oauth_consumer_key="one more")).error == "old-lti"
    time.sleep(1.5)
    assert len(rows(tool)) == 100 and not [row for row in rows(tool) if row[0] == "one more"]
    store.execute("DELETE FROM lti_old_launch")


def test_page_comes_when_the_database_does_not(make_stage):
    if database.KIND != "sqlite3":
        pytest.skip("one writer excludes all others on SQLite only")
    stage = with_tables(make_stage().configure(pace="LTISync Off"))
    stage.httpd.allow_log(r"LTI0305|LTI0306|\(dbd\)|dbd:error")
    connection = database.sqlite3.connect(stage.httpd.store.file, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        for number in range(5):
            began = time.monotonic()
            assert post(stage, old_launch(oauth_consumer_key=f"away-{number}")).error == "old-lti"
            assert time.monotonic() - began < 2
            time.sleep(0.3)
    finally:
        connection.close()
    assert post(stage, old_launch(oauth_consumer_key="back")).error == "old-lti"
    wait_for(lambda: rows(stage), "one to be remembered", 15)


def test_error_document_of_the_administrator_is_left_in_force(make_stage):
    stage = make_stage()
    stage.httpd.put("old.html", "our own page")
    with_tables(stage.configure(pace="LTISync Off", extra="ErrorDocument 400 /old.html"))
    refused = post(stage, old_launch())
    assert (refused.status, refused.error, refused.text) == (400, "old-lti", "our own page")
    remembered(stage, old_launch())


def test_addresses_are_those_of_the_configuration(make_stage):
    """Never of the Host header."""
    stage = make_stage().configure(pace="LTISync Off\nLTIPath /tools/lti13\nLTIBaseURL https://tool.example.edu").start()
    parts = urllib.parse.urlencode(old_launch()).encode()
    connection = http.client.HTTPConnection("127.0.0.1", stage.httpd.port, timeout=20)
    try:
        headers = {"Host": "evil.example", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/tools/lti13/launch", parts, headers)
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    assert "<code>https://tool.example.edu/tools/lti13/launch</code>" in text and "evil.example" not in text


def test_log_names_the_origin_at_info_level(tool):
    before = len(tool.httpd.log_lines())
    post(tool, old_launch(oauth_consumer_key="for the log"))
    line = tool.httpd.wait_log(r'LTI0220: refused with old-lti \(request \w+\): .*consumer key "for the log" from "campus.example.edu"', since=before)
    assert ":info]" in line

# SPDX-License-Identifier: Apache-2.0
"""LTIFrame as a browser sees it: the platform shows the application in a frame, whatever the application says of frames; another page on the same machine, with
the same person and the same cookie, shows nothing."""
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from httpd import free_port
from test_browser import CHROMIUM, DRIVER, By, chromium, find, open_in_frame, picture  # noqa: F401
from test_framing import SCRIPT

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")


class Stranger(BaseHTTPRequestHandler):
    """Another site, which shows the application in a frame to click on."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        address = urllib.parse.unquote(urllib.parse.urlsplit(self.path).query)
        body = f'<h1>A game</h1><iframe id="tool" src="{address}"></iframe>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def stranger():
    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Stranger)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def test_frame_is_shown_to_the_platform_and_to_no_other(chromium, make_stage, stranger):  # noqa: F811
    stage = make_stage().configure(pace="LTISync Off")
    script = stage.httpd.root / "cgi/lines.cgi"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    stage.start()
    open_in_frame(chromium, stage, "zoe")
    forbidding = "X-Frame-Options: DENY|Content-Security-Policy: frame-ancestors 'none'"
    chromium.execute_script("location = arguments[0]", stage.url("/cgi/lines.cgi?" + urllib.parse.quote(forbidding)))
    assert find(chromium, "#shown").text == "shown"
    chromium.switch_to.default_content()
    picture(chromium, "framed-by-the-platform")
    chromium.get(stranger + "?" + urllib.parse.quote(stage.url("/cgi/lines.cgi")))
    chromium.switch_to.frame(find(chromium, "iframe#tool"))
    assert not chromium.find_elements(By.ID, "shown")
    assert any("frame-ancestors" in entry["message"] for entry in chromium.get_log("browser"))
    chromium.switch_to.default_content()
    picture(chromium, "not-framed-by-a-stranger")
    # It was no lack of a session: without the frame the page is there.
    chromium.get(stage.url("/cgi/lines.cgi"))
    assert find(chromium, "#shown").text == "shown"

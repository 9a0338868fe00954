# SPDX-License-Identifier: Apache-2.0
"""A real httpd with a ServerRoot of its own in a temporary directory: builds its configuration, starts, reloads, stops, and watches its error log."""
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from database import Database

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
APPS = HERE.parent / "apps"
HTTPD = os.environ.get("HTTPD", "/usr/sbin/apache2")
MODULES = os.environ.get("HTTPD_MODULES", "/usr/lib/apache2/modules")
USER = "www-data"

# What the configurations of the tests use, beside the MPM, the CGI module and the module under test.
LOADED = (
    "authn_core authz_core authz_host authz_user alias dir mime env setenvif headers rewrite include proxy proxy_http dbd reqtimeout "
    "unixd log_config version watchdog"
).split()

WORST = ("emerg", "alert", "crit", "error", "warn")
LINE = re.compile(r"^\[(?P<time>[^]]+)\] \[(?P<module>[^]:]*):(?P<level>\w+)\] \[pid (?P<pid>\d+)[^]]*\] (?P<text>.*)$")
# httpd's own noise: at SIGTERM the event MPM closes the sockets of its workers under their hands.
OWN_NOISE = re.compile(r"AH0309[23]: .*apr_pollset_add failure")
DEATH = re.compile(r"child pid \d+ exit signal|seg(mentation )?fault|core dump|still did not exit|AddressSanitizer|runtime error", re.I)


def find_module():
    given = os.environ.get("LTI_MODULE")
    candidates = [Path(given)] if given else [ROOT / "build/.libs/mod_lti_sync.so", ROOT / ".libs/mod_lti_sync.so"]
    return next((path for path in candidates if path.is_file()), None)


# Below the ports that the kernel gives to clients: one of those could take the port between our look and the server's start, or during a restart.
PORTS = range(15000, 32000)
_given_ports = set()


def free_port():
    """A port on loopback that nobody has now, and that was not given before."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given_ports:
            _given_ports.add(port)
            return port


def wait_for(check, what, timeout=15.0, step=0.05):
    """The first true value of check(); fails with `what` and its last value after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:g} s for: {what} (last: {value!r})")
        time.sleep(step)


def is_listening(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def static_modules():
    listed = subprocess.run([HTTPD, "-l"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"mod_(\w+)\.c", listed))


class Httpd:
    """`config` may be changed by tests before start(): text that is put at the end of the server's configuration."""

    def __init__(self, campus=None, port=None, mpm="event", module=None):
        self.campus = campus
        self.mpm = mpm
        self.module = module or find_module()
        self.root = Path(tempfile.mkdtemp(prefix="lti-e2e-"))
        self.root.chmod(0o755)
        self.port, self.service_port, self.app_port = port or free_port(), free_port(), free_port()
        self.as_root = os.geteuid() == 0
        for name in ("conf", "logs", "run", "htdocs", "cgi"):
            (self.root / name).mkdir(mode=0o755)
        (self.root / "state").mkdir(mode=0o700)
        (self.root / "db").mkdir(mode=0o750)
        if self.as_root:
            user = pwd.getpwnam(USER)
            os.chown(self.root / "db", user.pw_uid, user.pw_gid)
        for name in ("class.cgi", "page.py"):
            shutil.copy(APPS / name, self.root / "cgi" / name)
        (self.root / "cgi/class.cgi").chmod(0o755)
        self.conf = self.root / "conf/httpd.conf"
        self.error_log = self.root / "logs/error.log"
        self.clock = self.root / "conf/clock"
        # parts of the configuration, each replaceable by a test
        self.log_level = "warn lti_sync:info"
        self.store = Database(self.root)
        self.database = self.store.directives
        self.platform = self.platform_block()
        self.module_config = f"LTIStateDir {self.root}/state\nLTIApplication /app/ /cgi/\nLTISyncInterval 2s"
        self.locations = PROTECTED.format(root=self.root, app_port=self.app_port)
        self.service = SERVICE
        self.extra = ""
        self._expected, self._allowed = [], []

    # --- configuration --------------------------------------------------------------------------------------------------------

    @property
    def base_url(self):
        return f"http://localhost:{self.port}"

    @property
    def roster_url(self):
        return f"http://127.0.0.1:{self.service_port}/lti/roster"

    def platform_block(self, name="campus", **changes):
        """<LTIPlatform> for the campus; changes replace a directive's value, or take it away (None)."""
        if self.campus is None:
            return ""
        campus = self.campus
        values = {
            "LTIIssuer": campus.issuer,
            "LTIClientID": campus.tool.client_id,
            "LTIAuthorizationEndpoint": campus.auth_url,
            "LTITokenEndpoint": campus.token_url,
            "LTIKeySet": campus.jwks_url,
        }
        values.update(changes)
        lines = "\n".join(f"    {key} {value}" for key, value in values.items() if value is not None)
        return f'<LTIPlatform "{name}">\n{lines}\n</LTIPlatform>'

    def load_modules(self):
        static = static_modules()
        wanted = [f"mpm_{self.mpm}", *LOADED, "cgi" if self.mpm == "prefork" else "cgid"]
        lines = [f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in wanted if name not in static]
        if self.module is not None:
            lines.append(f"LoadModule lti_sync_module {self.module}")
        return "\n".join(lines)

    def text(self):
        user = f"User {USER}\nGroup {USER}" if self.as_root else ""
        socket_line = "" if self.mpm == "prefork" else "ScriptSock cgisock"
        thread = "" if self.mpm == "prefork" else ":tid %T"  # an empty %T would take its bracket along
        return f"""ServerRoot {self.root}
{self.load_modules()}
DefaultRuntimeDir {self.root}/run
PidFile {self.root}/run/httpd.pid
{socket_line}
{user}
ServerName {self.base_url}
Listen 127.0.0.1:{self.port}
Listen 127.0.0.1:{self.service_port}
ErrorLog {self.error_log}
ErrorLogFormat "[%{{cu}}t] [%-m:%l] [pid %P{thread}] %E: [client\\ %a] %M"
LogLevel {self.log_level}
LogFormat "%h %l %u %t \\"%r\\" %>s %b" common
CustomLog logs/access.log common
TypesConfig /dev/null
AddType text/html .html
AddType text/plain .txt
AddDefaultCharset utf-8
KeepAlive On
GracefulShutdownTimeout 5
# A spare connection of a browser gets a worker after half a minute, and that one would not let its child end.
RequestReadTimeout header=3 body=20,MinRate=500
{MPM[self.mpm]}
DocumentRoot {self.root}/htdocs
<Directory {self.root}>
    Require all granted
    Options FollowSymLinks
    AllowOverride None
</Directory>
{self.database}
{self.platform}
{self.module_config}
{self.locations}
{self.extra}
{self.service}
""".replace("SERVICE_PORT", str(self.service_port))

    def write(self):
        # In one step: a reload may be reading it.
        fresh = self.conf.with_suffix(".new")
        fresh.write_text(self.text())
        fresh.rename(self.conf)
        return self.conf

    def line_of(self, text):
        """The number of the first line of the written configuration that has `text`."""
        for number, line in enumerate(self.conf.read_text().splitlines(), 1):
            if text in line:
                return number
        raise AssertionError(f"not in the configuration: {text}")

    def put(self, name, text):
        """A file below the document root."""
        path = self.root / "htdocs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    # --- life -------------------------------------------------------------------------------------------------------------------

    def run(self, *arguments):
        command = [HTTPD, "-d", str(self.root), "-f", str(self.conf), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=self.environment())

    def environment(self):
        """LTI_PRELOAD is the sanitizer's library, for a module that was built with it: what it finds goes to the error log, and the process ends."""
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C", "LTI_TEST_CLOCK": str(self.clock)}
        if os.environ.get("LTI_PRELOAD"):
            environment |= {"LD_PRELOAD": os.environ["LTI_PRELOAD"], "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
        return environment

    def configtest(self):
        """What `apachectl -t` would do: (return code, its output)."""
        self.write()
        done = self.run("-t")
        return done.returncode, done.stdout + done.stderr

    def start(self):
        self.write()
        done = self.run("-k", "start")
        if done.returncode != 0:
            raise AssertionError(f"httpd did not start: {done.stdout}{done.stderr}\n{self.log_text()}")
        try:
            wait_for(lambda: is_listening(self.port) and self.pid(), "httpd to listen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_text()}") from None
        return self

    def start_under(self, *wrapper):
        """One process in the foreground (-X), run by another program; returns it. Ends with stop(at_once=True)."""
        self.write()
        command = [*wrapper, HTTPD, "-d", str(self.root), "-f", str(self.conf), "-X"]
        with open(self.root / "logs/wrapper.log", "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment())
        wait_for(lambda: process.poll() is not None or (is_listening(self.port) and self.pid()), f"httpd under {wrapper[0]} to listen", 120)
        assert process.poll() is None, (self.root / "logs/wrapper.log").read_text()
        return process

    def pid(self):
        try:
            return int((self.root / "run/httpd.pid").read_text())
        except (OSError, ValueError):
            return None

    def is_running(self):
        pid = self.pid()
        return pid is not None and Path(f"/proc/{pid}").exists()

    def stop(self, at_once=False):
        """Ends the server. `at_once` is what init systems do (SIGTERM); the usual way here lets workers finish first, since the event MPM's SIGTERM
        closes sockets that its workers are just giving back, and now and then dies of it (close_worker_sockets)."""
        pid = self.pid()
        if pid is None or not self.is_running():
            return
        if not at_once:
            os.kill(pid, signal.SIGWINCH)
            # By now the file with the pid may be gone.
            wait_for(lambda: not self.children(pid), "the children to finish", 20, 0.01)
        # The parent of a graceful stop looks at its children once a second; a signal wakes it.
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not is_alive(pid), f"httpd (pid {pid}) to stop", 20, 0.02)

    def graceful(self, rewrite=True):
        """A reload without ending requests; returns when the new generation serves."""
        if rewrite:
            self.write()
        resumed = len(re.findall("resuming normal operations", self.log_text()))
        level, before = self.log_level, self.children()
        done = self.run("-k", "graceful")
        assert done.returncode == 0, done.stderr
        wait_for(
            lambda: len(re.findall("resuming normal operations", self.log_text())) > resumed or not set(before) & set(self.children()),
            f"the reload (log level {level})",
        )
        wait_for(lambda: is_listening(self.port), "httpd to listen after the reload")

    def set_clock(self, seconds):
        """The module's clock is so far ahead; only a module built with --enable-test-clock looks at it. When hours pass at once rosters turn stale, which is said."""
        self.allow_log("LTI0769|LTI0770")
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"{seconds}\n")
        fresh.rename(self.clock)

    def restart(self):
        """Stop and start: shared memory is gone, the database stays."""
        self.stop()
        self.start()

    def children(self, parent=None):
        """Pids of the server's children that serve requests (the CGI daemon is none)."""
        parent = parent or self.pid()
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rsplit(")", 1)[1].split()
                name = (path.parent / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == parent and fields[0] != "Z" and name:
                threads = len(list((path.parent / "task").glob("*"))) if path.parent.exists() else 0
                if self.mpm == "prefork" or threads > 1:
                    found.append(int(path.parent.name))
        return sorted(found)

    def close(self):
        try:
            self.stop()
        finally:
            if not os.environ.get("LTI_KEEP"):
                shutil.rmtree(self.root, ignore_errors=True)

    # --- the error log is an assertion --------------------------------------------------------------------------------------------

    def log_text(self):
        try:
            return self.error_log.read_text(errors="replace")
        except OSError:
            return ""

    def log_lines(self):
        return self.log_text().splitlines()

    def expect_log(self, regex):
        """A line that this test causes: it is allowed, and it must be there at the end."""
        self._expected.append(re.compile(regex))

    def allow_log(self, regex):
        """A line that may be there."""
        self._allowed.append(re.compile(regex))

    def wait_log(self, regex, timeout=15.0, since=0):
        pattern = re.compile(regex)
        return wait_for(
            lambda: next((line for line in self.log_lines()[since:] if pattern.search(line)), None), f"a log line like {regex}", timeout
        )

    def log_faults(self):
        """Lines that nobody announced, and announcements that did not come true."""
        lines = self.log_lines()
        faults = []
        for line in lines:
            match = LINE.match(line)
            bad = DEATH.search(line) or (match.group("level") in WORST if match else bool(line.strip()))
            if bad and not any(pattern.search(line) for pattern in [OWN_NOISE, *self._expected, *self._allowed]):
                faults.append("unexpected: " + line)
        for pattern in self._expected:
            if not any(pattern.search(line) for line in lines):
                faults.append("missing: a line like " + pattern.pattern)
        return faults


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


MPM = {
    "event": """StartServers 2
ServerLimit 4
ThreadsPerChild 8
ThreadLimit 8
MaxRequestWorkers 32
MinSpareThreads 2
MaxSpareThreads 32""",
    "prefork": """StartServers 3
MinSpareServers 2
MaxSpareServers 8
MaxRequestWorkers 16""",
}

# The applications as in the README: one behind a proxy, one CGI script; the first also at an address that nobody protects.
PROTECTED = """ProxyPass "/app/" "http://127.0.0.1:{app_port}/"
ProxyPass "/open/" "http://127.0.0.1:{app_port}/"
ScriptAlias "/cgi/" "{root}/cgi/"
ScriptAlias "/open-cgi/" "{root}/cgi/"
SetEnv ROSTER_URL http://127.0.0.1:SERVICE_PORT/lti/roster
<Location "/app">
    AuthType LTI
    Require valid-user
    AuthzSendForbiddenOnFailure On
</Location>
<Location "/cgi">
    AuthType LTI
    Require valid-user
    AuthzSendForbiddenOnFailure On
</Location>
"""

# Where applications ask for the class list: another port, for this machine only.
SERVICE = """<VirtualHost 127.0.0.1:SERVICE_PORT>
    ServerName http://127.0.0.1:SERVICE_PORT
    <Location "/lti/roster">
        LTIRosterAccess all
        Require local
    </Location>
</VirtualHost>
"""

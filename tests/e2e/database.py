# SPDX-License-Identifier: Apache-2.0
"""The database of a stage. LTI_DATABASE names the kind: sqlite3 (a file, the usual), pgsql or mysql (a server of our own, started once in a session and
thrown away at its end; each stage gets a database of its own there)."""
import glob
import itertools
import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

KIND = os.environ.get("LTI_DATABASE", "sqlite3")


def find_program(*patterns):
    for pattern in patterns:
        found = sorted(glob.glob(pattern)) if pattern.startswith("/") else [shutil.which(pattern, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")]
        if found and found[-1]:
            return found[-1]
    raise AssertionError(f"none of these programs is here: {patterns}")


def as_user(name):
    """What subprocess needs to run a server that refuses root."""
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}


class Server:
    user = None

    def __init__(self):
        # Not below $TMPDIR: the path of a unix socket must stay short.
        self.root = Path(tempfile.mkdtemp(prefix="lti-db-", dir="/tmp"))
        self.root.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(self.root, pwd.getpwnam(self.user).pw_uid, -1)
        self.numbers = itertools.count(1)
        self.process = None

    def run(self, *command, **options):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=self.root, timeout=120, **options)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def wait(self, timeout=60):
        end = time.monotonic() + timeout
        while not self.is_up():
            assert time.monotonic() < end and self.process.poll() is None, (self.root / "log").read_text()[-3000:]
            time.sleep(0.05)

    def launch(self, *command):
        with open(self.root / "log", "a") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, cwd=self.root, **as_user(self.user))
        self.wait()

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self, away=0.0):
        """Dies as with a power cut, is away for some seconds, and comes back."""
        self.kill()
        time.sleep(away)
        self.start()

    def close(self):
        self.kill()
        shutil.rmtree(self.root, ignore_errors=True)


class PostgreSQL(Server):
    user = "postgres"

    def __init__(self):
        super().__init__()
        self.bin = Path(find_program("/usr/lib/postgresql/*/bin/pg_ctl", "/usr/pgsql-*/bin/pg_ctl", "pg_ctl")).resolve().parent
        self.run(self.bin / "initdb", "-D", self.root / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N", **as_user(self.user))
        self.start()

    def start(self):
        self.launch(self.bin / "postgres", "-D", self.root / "data", "-F", "-c", "listen_addresses=", "-c", f"unix_socket_directories={self.root}")

    def is_up(self):
        return subprocess.run([self.bin / "pg_isready", "-q", "-h", self.root], check=False).returncode == 0

    def kill(self):
        # The postmaster alone would leave its children behind: SIGQUIT is its way to die at once.
        if self.process is not None:
            self.process.send_signal(3)
            self.process.wait()
            self.process = None

    def fresh(self):
        name = f"lti{next(self.numbers)}"
        self.run(self.bin / "createdb", "-h", self.root, "-U", "postgres", "-T", "template0", name)
        return name

    def directives(self, name):
        return f'DBDriver pgsql\nDBDParams "host={self.root} dbname={name} user=postgres connect_timeout=5"'

    @property
    def socket(self):
        return self.root / ".s.PGSQL.5432"

    def directives_by_port(self, name, port):
        """For a relay that leads to the socket."""
        return f'DBDriver pgsql\nDBDParams "host=127.0.0.1 port={port} dbname={name} user=postgres connect_timeout=5"'

    def execute(self, name, sql):
        return self.run(self.bin / "psql", "-h", self.root, "-U", "postgres", "-d", name, "-AtqX", "-F", "\t", "-c", sql)


class MariaDB(Server):
    user = "mysql"

    def __init__(self):
        super().__init__()
        self.client = find_program("mariadb", "mysql")
        options = ["--user=mysql"] if os.geteuid() == 0 else []
        install = find_program("mariadb-install-db", "mysql_install_db")
        self.run(install, "--no-defaults", *options, "--auth-root-authentication-method=normal", "--skip-test-db", f"--datadir={self.root}/data")
        self.start()

    def start(self):
        self.launch(
            find_program("mariadbd", "mysqld"), "--no-defaults", f"--datadir={self.root}/data", f"--socket={self.root}/sock",
            f"--pid-file={self.root}/pid", "--skip-networking", "--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
        )  # fmt: skip

    def is_up(self):
        command = [self.client, "--no-defaults", "--user=root", f"--socket={self.root}/sock", "-e", "SELECT 1"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def fresh(self):
        name = f"lti{next(self.numbers)}"
        self.execute("mysql", f"CREATE DATABASE {name}")
        return name

    def directives(self, name):
        return f"DBDriver mysql\nDBDParams sock={self.socket},dbname={name},user=root"

    @property
    def socket(self):
        return self.root / "sock"

    def directives_by_port(self, name, port):
        """For a relay that leads to the socket."""
        return f"DBDriver mysql\nDBDParams host=127.0.0.1,port={port},dbname={name},user=root"

    def execute(self, name, sql):
        return self.run(self.client, "--no-defaults", "--user=root", f"--socket={self.root}/sock", "--default-character-set=utf8mb4", "-NBr", name, "-e", sql)


class Database:
    """Of one httpd: `directives` for its configuration, execute() for a look from outside (rows of texts)."""

    def __init__(self, root):
        self.file = root / "db/lti.sqlite" if KIND == "sqlite3" else None
        if self.file is not None:
            self.directives = f"DBDriver sqlite3\nDBDParams {self.file}"
        else:
            self.server = server()
            self.name = self.server.fresh()
            self.directives = self.server.directives(self.name)

    def execute(self, sql):
        if self.file is None:
            return [tuple(line.split("\t")) for line in self.server.execute(self.name, sql).splitlines()]
        connection = sqlite3.connect(self.file, timeout=10)
        try:
            with connection:
                return [tuple(str(value) for value in row) for row in connection.execute(sql)]
        finally:
            connection.close()


_server = None


def server():
    global _server
    if _server is None:
        _server = {"pgsql": PostgreSQL, "mysql": MariaDB}[KIND]()
    return _server


def close_server():
    global _server
    if _server is not None:
        _server.close()
        _server = None

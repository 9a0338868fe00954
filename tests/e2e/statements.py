# SPDX-License-Identifier: Apache-2.0
"""What an administrator writes into the database: the very statements of docs/database.md, with names in place of THE PLATFORM and its like."""
import re

import database
from httpd import ROOT

SERVER = {"sqlite3": "SQLite", "pgsql": "PostgreSQL", "mysql": "MariaDB"}[database.KIND]
PAGE = (ROOT / "docs/database.md").read_text().partition("\n### Who may\n")[2]


def documented(beginning):
    lines = [line.strip() for line in PAGE.splitlines() if line.startswith(f"    {beginning}")]
    assert lines and len(set(lines)) == 1, f"docs/database.md has not just one statement that begins with {beginning}"
    return lines[0]


def execute(store, beginning, **names):
    """The statement and the one that tells the nodes."""
    now = re.search(rf"^\| {SERVER} \| `(.+)` \|$", PAGE, re.M)[1]
    sql = documented(beginning)
    for place, name in names.items():
        assert f"'THE {place}'" in sql, sql
        sql = sql.replace(f"'THE {place}'", f"'{name}'")
    sql = re.sub(r"\bNOW\b", lambda _: now, sql)
    assert "'THE " not in sql, sql
    store.execute(sql)
    store.execute(documented("UPDATE lti_schema"))


def accept(store, deployment, platform="campus"):
    execute(store, "UPDATE lti_deployment SET status = 1", PLATFORM=platform, DEPLOYMENT=deployment)


def accept_beforehand(store, deployment, platform="campus"):
    execute(store, "INSERT INTO lti_deployment", PLATFORM=platform, DEPLOYMENT=deployment)


def withdraw(store, deployment, platform="campus"):
    execute(store, "UPDATE lti_deployment SET status = 2", PLATFORM=platform, DEPLOYMENT=deployment)


def end_sessions(store, platform="campus", **whose):
    """`whose`: USER_ID, KEY, both, or DEPLOYMENT."""
    names = {"PLATFORM": platform, **{name.replace("_", " "): value for name, value in whose.items()}}
    columns = ", ".join(column for name, column in (("USER ID", "user_id"), ("KEY", "course_key"), ("DEPLOYMENT", "deployment_id")) if name in names)
    execute(store, f"INSERT INTO lti_revocation (platform, {columns}, ended_at", **names)

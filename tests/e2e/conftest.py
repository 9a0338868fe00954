# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests. Environment: LTI_MODULE (the .so), LTI_MPM (event or prefork), LTI_DATABASE (sqlite3, pgsql or
mysql), LTI_SCREENSHOTS (a directory), LTI_KEEP (keep server roots), LTI_SLOW (run the tests that wait for minutes)."""
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "campus", HERE.parent / "apps"):
    sys.path.insert(0, str(folder))

import database  # noqa: E402
from client import Browser  # noqa: E402
from httpd import find_module  # noqa: E402
from stage import Stage  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: waits for minutes; runs only with LTI_SLOW=1")


def pytest_sessionfinish():
    database.close_server()


def pytest_collection_modifyitems(items):
    if not os.environ.get("LTI_SLOW"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: set LTI_SLOW=1"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With a failure, the end of the error log: most often it says why."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for stage in [*item.funcargs.get("_stages", []), *item.funcargs.get("_shared_stages", [])]:
            report.sections.append(("error log of httpd", "\n".join(stage.httpd.log_lines()[-60:])))


def close_all(stages):
    """Ends them and judges their error logs."""
    faults = []
    for stage in stages:
        faults += stage.close()
    assert not faults, "the error log has something to say:\n" + "\n".join(faults)


def maker(stages):
    def make(**options):
        if find_module() is None:
            pytest.exit("there is no module: build first, or name it in LTI_MODULE", 2)
        options.setdefault("mpm", os.environ.get("LTI_MPM", "event"))
        stage = Stage(**options)
        stages.append(stage)
        return stage

    return make


@pytest.fixture
def _stages():
    """All stages of a test; closed at its end."""
    stages = []
    yield stages
    close_all(stages)


@pytest.fixture
def make_stage(_stages):
    """Makes a stage that is not started yet, so that a test can configure it."""
    return maker(_stages)


@pytest.fixture(scope="module")
def _shared_stages():
    """Stages that the tests of a file share; closed after the last."""
    stages = []
    yield stages
    close_all(stages)


@pytest.fixture(scope="module")
def make_shared_stage(_shared_stages):
    """The same for tables of cases that need no httpd of their own: what one case switches at the campus, it has to switch back."""
    return maker(_shared_stages)


@pytest.fixture
def stage(make_stage):
    """A started stage with the usual configuration: rosters every two seconds."""
    return make_stage().start()


@pytest.fixture
def quiet(make_stage):
    """A started stage in which only launches and "update now" fetch rosters."""
    return make_stage().configure(pace="LTISyncInterval 1h").start()


@pytest.fixture
def still(make_stage):
    """A started stage without any roster."""
    return make_stage().configure(pace="LTISync Off").start()


@pytest.fixture
def browser():
    return Browser()

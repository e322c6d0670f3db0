"""
The protocol's official conformance suite, against this server.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.mcp.conformance.node import needs_node, run
from tests.mcp.processes import Running, run_http_server

pytestmark = [pytest.mark.conformance, needs_node]
# Without sessions a server cannot send requests to clients of 2025-11-25, and no tool here does.
ELICITING = {
    "tools-call-sampling",
    "tools-call-elicitation",
    "elicitation-sep1034-defaults",
    "elicitation-sep1330-enums",
}
# Optional scenarios that pass, and must not regress.
TASKS = (
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-required-task-error",
    "tasks-mrtr-composition",
)
_OUTCOME = re.compile(r"^([✓✗]) ([\w-]+): (\d+) passed, (\d+) failed$", re.MULTILINE)


@pytest.fixture(scope="module", params=["stateless", "sessions"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[str, Running], None, None]:
    """
    The server with the suite's own tools, without sessions (the default) and with them.
    """
    folder = tmp_path_factory.mktemp("library")
    program = ("-m", "tests.mcp.conformance.server")
    with run_http_server("0", str(folder), request.param, program=program) as running:
        yield request.param, running


def _run_suite(url: str, revision: str, out: Path) -> tuple[int, set[str], set[str]]:
    """
    Run a revision's required scenarios; return the status, the failed and the passed ones.
    """
    done = run("conformance", "server", "--url", url, "--requirements", revision, "-o", str(out))
    outcomes = _OUTCOME.findall(done.stdout)
    assert len(outcomes) > 20, done.stdout + done.stderr
    failed = {name for mark, name, *_ in outcomes if mark == "✗"}
    return done.returncode, failed, {name for _, name, *_ in outcomes} - failed


def test_revision_2026_07_28_passes(server: tuple[str, Running], tmp_path: Path) -> None:
    """
    Every scenario that revision 2026-07-28 requires of servers passes, with and without sessions,
    and the scenarios of tasks too, except the one about input requests during a task.
    """
    status, failed, passed = _run_suite(server[1].url, "2026-07-28", tmp_path)
    assert (status, failed) == (0, {"tasks-mrtr-input"})
    assert set(TASKS) <= passed


def test_revision_2025_11_25_passes(server: tuple[str, Running], tmp_path: Path) -> None:
    """
    Every scenario that revision 2025-11-25 requires of servers passes with sessions; without them
    all but the four in which the server sends requests to the client.
    """
    kind, running = server
    status, failed, _ = _run_suite(running.url, "2025-11-25", tmp_path)
    expected = (1, ELICITING) if kind == "stateless" else (0, set[str]())
    assert (status, failed) == expected

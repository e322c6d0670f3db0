"""
Benchmarks of the MCP server's promises, compared side by side in one run.

    python -m tests.bench.mcp_figures [NAME ...]

`tests/bench/test_mcp_figures.py` checks the figures, with `pytest --figures`.
"""

from __future__ import annotations

import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import httpx2

from tests.bench.figures import Figure, Table, main, seconds_of, working_folder
from tests.bench.server import serve_fixed_images
from tests.bench.wire import McpConnection
from tests.mcp.evals.test_evals import TASKS, inputs, resolve
from tests.mcp.processes import run_http_server

PEER = "openai-image-mcp==0.2.1"
SERVER_COMMAND = (sys.executable, "-m", "imagesession_mcp")
# An image of 1.5 MB: half of it noise, which cannot be compressed.
_SIZE, _NOISE_FRACTION = (1024, 1024), 0.5
_PARALLEL = 16
_BARE = ("--preview-bytes", "0")
_MINIMAL_SERVER = """
from mcp.server.mcpserver import MCPServer
server = MCPServer("smallest", log_level="WARNING")
@server.tool()
async def hello() -> str:
    "Say hello."
    return "hello"
server.run("stdio")
"""


def _server_command(folder: str) -> tuple[str, ...]:
    return (*SERVER_COMMAND, "--library", str(Path(folder) / "library"))


def starting(rounds: int = 11) -> Figure:
    """
    Compare the time from process start until `initialize` and `tools/list` are answered, together,
    with a minimal server's.
    """
    with working_folder() as folder:
        log = Path(folder) / "log"
        ours = _server_command(folder)
        smallest = (sys.executable, "-c", _MINIMAL_SERVER)
        times: dict[str, list[float]] = {"ours": [], "smallest": []}
        for number in range(rounds + 1):
            for name, command in (("smallest", smallest), ("ours", ours)):
                start = time.perf_counter()
                with McpConnection(command, log) as wire:
                    wire.request("tools/list", {})
                    elapsed = time.perf_counter() - start
                times[name] += [elapsed] if number else []  # warmed up
    medians = _print_medians(times)
    label = "spawn to tools/list answered / the smallest server on the same SDK"
    return Figure(label, medians["ours"] / medians["smallest"], 1.5, "x")


def _print_medians(times: dict[str, list[float]]) -> dict[str, float]:
    medians = {name: statistics.median(elapsed) for name, elapsed in times.items()}
    print("  medians:", *(f"{name} {elapsed * 1e3:.1f} ms;" for name, elapsed in medians.items()))
    return medians


def many(rounds: int = 5) -> Iterator[Figure]:
    """
    Measure parallel generations of one second each, and other requests meanwhile.

    Of the other requests, the figure is the slowest of each round, and the median of the rounds,
    because machines are noisy.
    """
    stats: dict[str, Any] = {"name": "get_server_stats", "arguments": {}}
    requests = {"ping": ("ping", {}), "get_server_stats": ("tools/call", stats)}
    with working_folder() as folder, serve_fixed_images(_SIZE, 0.05, latency=1.0) as url:
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}
        command = (*_server_command(folder), "--daily-budget", "none")
        with McpConnection(command, Path(folder) / "log", **env) as wire:
            wire.call("generate_image", prompt="a teapot")
            wire.call("get_server_stats")
            elapsed: list[float] = []
            side_requests: dict[str, list[list[float]]] = {name: [] for name in requests}
            for _ in range(rounds):
                start = time.perf_counter()
                calls = [
                    wire.send("tools/call", {"name": "generate_image", "arguments": arguments})
                    for arguments in ({"prompt": f"teapot {number}"} for number in range(_PARALLEL))
                ]
                for times in side_requests.values():
                    times.append([])
                while wait(calls, timeout=0.02).not_done:
                    for name, (method, params) in requests.items():
                        side_requests[name][-1].append(
                            seconds_of(lambda m=method, p=params: wire.request(m, p))  # type: ignore[misc]
                        )
                elapsed.append(time.perf_counter() - start)
                assert not any(call.result()[0].get("isError") for call in calls)
    yield Figure(f"{_PARALLEL} parallel generations of one second", min(elapsed), 1.3, "s")
    for name, times in side_requests.items():
        slowest = [max(seconds) for seconds in times]
        quantiles = statistics.quantiles([seconds for round_ in times for seconds in round_], n=20)
        print(
            f"  {name}: median {quantiles[9] * 1e3:.1f}, 95 of 100 {quantiles[18] * 1e3:.1f}; "
            f"slowest of each round {', '.join(f'{item * 1e3:.0f}' for item in slowest)} ms"
        )
        label = f"slowest {name} while {_PARALLEL} generate"
        yield Figure(label, statistics.median(slowest) * 1e3, 50, "ms")


def waiting(rounds: int = 2) -> Figure:
    """
    Measure a call whose image takes its provider eight seconds: nothing is to be waited for but it.
    """
    with working_folder() as folder, serve_fixed_images(_SIZE, 0.05, latency=8.0) as url:
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}
        with McpConnection(_server_command(folder), Path(folder) / "log", **env) as wire:
            wire.call("get_server_stats")
            times = [
                seconds_of(lambda: wire.call("generate_image", prompt="a teapot"))
                for _ in range(rounds)
            ]
    return Figure("a picture that takes its provider 8 seconds", min(times), 8.3, "s")


class PeerMissingError(Exception):
    """
    The server to compare with cannot be installed here.
    """


@functools.cache
def _install_peer() -> tuple[str, tempfile.TemporaryDirectory[str]]:
    """
    Install the server to compare with, in its own environment, which lasts as long as this process.
    """
    folder = tempfile.TemporaryDirectory(prefix="imagesession-peer-")
    path = Path(folder.name) / "peer"
    scripts = path / ("Scripts" if sys.platform == "win32" else "bin")
    try:
        for command in ((sys.executable, "-m", "venv", path), (scripts / "pip", "install", PEER)):
            subprocess.run(command, check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        raise PeerMissingError(f"{PEER}: {error.stderr.decode()[-300:]}") from error
    return str(scripts / "openai-image-mcp"), folder


def calling(turns: int = 50) -> Iterator[Figure]:
    """
    Compare images of 1.5 MB, in a long session and outside of one, with the same calls of
    openai-image-mcp.

    Its results have no image, so ours have no preview; the times with a preview are printed too.
    """
    peer, _ = _install_peer()
    with working_folder() as folder, serve_fixed_images(_SIZE, _NOISE_FRACTION) as url:
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}
        ours = (*_server_command(folder), "--daily-budget", "none")
        with (
            McpConnection((peer,), Path(folder) / "theirs.log", **env) as theirs,
            McpConnection((*ours, *_BARE), Path(folder) / "ours.log", **env) as own,
            McpConnection(ours, Path(folder) / "shown.log", **env) as shown,
        ):
            medians = _print_medians(_side_by_side(theirs, own, shown, turns))
    # Outside of a session the peer stores nothing but the image, unflushed; ours does all as in
    # one, with eight flushes and a stream that brings the image twice.
    for where, suffix, most in (
        (f"in a session of {turns}", "", 1.1),
        ("outside a session", " alone", 2.2),
    ):
        ratio = medians[f"ours{suffix}"] / medians[f"theirs{suffix}"]
        yield Figure(f"a 1.5 MB PNG {where} / openai-image-mcp 0.2.1", ratio, most, "x")


def _side_by_side(
    theirs: McpConnection, ours: McpConnection, shown: McpConnection, turns: int
) -> dict[str, list[float]]:
    single, session = "generate_image", "generate_image_in_session"
    theirs_id, ours_id, shown_id = (_start_session(peer) for peer in (theirs, ours, shown))
    kinds: dict[str, Callable[[str], dict[str, Any]]] = {
        "theirs": lambda prompt: theirs.call(session, session_id=theirs_id, prompt=prompt),
        "ours": lambda prompt: ours.call(session, session_id=ours_id, prompt=prompt),
        "ours with preview": lambda prompt: shown.call(session, session_id=shown_id, prompt=prompt),
        "theirs alone": lambda prompt: theirs.call(single, prompt=prompt),
        "ours alone": lambda prompt: ours.call(single, prompt=prompt),
        "ours alone with preview": lambda prompt: shown.call(single, prompt=prompt),
    }
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(turns + 1):
        for name, send in kinds.items():
            start = time.perf_counter()
            result = send(f"a teapot, number {number}")
            elapsed = time.perf_counter() - start
            payload = json.loads(result["content"][0]["text"])
            assert payload["success"], payload
            times[name] += [elapsed] if number else []  # warmed up
    return times


def _start_session(wire: McpConnection) -> str:
    result = wire.call("create_image_session", description="A teapot for a tea shop")
    session_id: str = json.loads(result["content"][0]["text"])["session_id"]
    return session_id


def weighing() -> Iterator[Figure]:
    """
    Measure the result of an image that compresses badly, with and without its preview.
    """
    with working_folder() as folder, serve_fixed_images(_SIZE) as url:
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}
        for preview, maximum in ((True, 110_000), (False, 2_000)):
            command = (*_server_command(folder), *(() if preview else _BARE))
            with McpConnection(command, Path(folder) / "log", **env) as wire:
                params = {"name": "generate_image", "arguments": {"prompt": "a teapot"}}
                result, length = wire.send("tools/call", params).result(60)
                assert not result.get("isError"), result
                kinds = [block["type"] for block in result["content"]]
                assert ("image" in kinds) is preview
                label = f"result of one image, {'with' if preview else 'without'} its preview"
                yield Figure(label, length, maximum, "bytes")


def answering(rounds: int = 60) -> Iterator[Figure]:
    """
    Measure the shortest answers over HTTP, each on a connection that is kept: one without and one
    with the protocol around it.
    """
    call: dict[str, Any] = {"name": "list_images", "arguments": {}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {"Accept": "application/json, text/event-stream"}
    headers["MCP-Protocol-Version"] = "2025-11-25"
    with (
        working_folder() as folder,
        run_http_server("--offline", "--library", str(Path(folder) / "library")) as server,
        httpx2.Client(headers=headers, timeout=60) as client,
    ):
        sends: dict[str, Callable[[], httpx2.Response]] = {
            "/healthz": lambda: client.get(server.url.replace("/mcp", "/healthz")),
            "list_images": lambda: client.post(server.url, json=request),
        }
        for name, send in sends.items():
            assert send().status_code == 200, send().text
            times = [seconds_of(send) for _ in range(rounds)]
            maximum = 5 if name == "/healthz" else 10
            yield Figure(f"{name} over HTTP", statistics.median(times) * 1e3, maximum, "ms")


def thousands(calls: int = 2_000) -> Figure:
    """
    Send many calls at once, all of which have to be answered.
    """
    params: dict[str, Any] = {"name": "list_images", "arguments": {}}
    with working_folder() as folder:
        command = (*_server_command(folder), "--offline")
        with McpConnection(command, Path(folder) / "log") as wire:
            start = time.perf_counter()
            answers = [wire.send("tools/call", params) for _ in range(calls)]
            bad = sum(bool(answer.result(300)[0].get("isError")) for answer in answers)
            print(f"  {calls} calls in {time.perf_counter() - start:.1f} s")
    return Figure(f"of {calls} calls at once, those not answered well", bad, 0, "calls")


def tasks() -> Figure:
    """
    Compare what the tasks of `tests/mcp/evals` cost an agent's context, those that openai-image-mcp
    has the tools for: the bytes of calls and of the texts of results.
    """
    peer, _ = _install_peer()
    with working_folder() as folder, serve_fixed_images(_SIZE, 0.05) as url:
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}
        ours = (*_server_command(folder), "--daily-budget", "none", "--allow-dir", folder)
        with (
            McpConnection((peer,), Path(folder) / "theirs.log", **env) as theirs,
            McpConnection(ours, Path(folder) / "ours.log", **env) as own,
        ):
            offered = theirs.request("tools/list", {})["tools"]
            known = {tool["name"]: set(tool["inputSchema"]["properties"]) for tool in offered}
            totals = {"ours": 0, "theirs": 0}
            for task in TASKS:
                calls = task["calls"]
                # Its results have no ids of images, by which later calls could name them.
                if "image_id" not in json.dumps(calls) and all(
                    set(given) <= known.get(tool, set()) for tool, given in calls
                ):
                    spent = {
                        "ours": _spend(own, task, Path(folder)),
                        "theirs": _spend(theirs, task, Path(folder)),
                    }
                    print(f"  {task['ask'][:60]}: ours {spent['ours']}, theirs {spent['theirs']} B")
                    totals = {name: totals[name] + spent[name] for name in totals}
    label = "bytes of calls and texts for the same tasks / openai-image-mcp 0.2.1"
    return Figure(label, totals["ours"] / totals["theirs"], 1.0, "x")


def _spend(wire: McpConnection, task: dict[str, Any], folder: Path) -> int:
    """
    Make the calls of a task, and return the bytes of its calls and texts.
    """
    names, spent = inputs(folder), 0
    for number, (tool, arguments) in enumerate(task["calls"], start=1):
        given = resolve(arguments, names)
        texts = [block["text"] for block in wire.call(tool, **given)["content"] if "text" in block]
        names[str(number)] = json.loads(texts[0])
        spent += len(json.dumps([tool, given])) + sum(len(text.encode()) for text in texts)
    return spent


FIGURES: Table = {
    "starting": starting,
    "many": many,
    "thousands": thousands,
    "waiting": waiting,
    "answering": answering,
    "calling": calling,
    "tasks": tasks,
    "weighing": weighing,
}


if __name__ == "__main__":
    main(sys.argv[1:], FIGURES)

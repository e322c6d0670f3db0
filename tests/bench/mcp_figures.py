"""
Benchmarks of the MCP server's promises, compared side by side in one run.

    python -m tests.bench.mcp_figures [NAME ...]

`tests/bench/test_mcp_figures.py` checks the figures, with `pytest --figures`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, Table, main, seconds_of, working_folder
from tests.bench.server import serve_fixed_images
from tests.bench.wire import McpConnection

PEER = "openai-image-mcp==0.2.1"
SERVER_COMMAND = (sys.executable, "-m", "imagesession_mcp")
# An image of 1.5 MB: half of it noise, which cannot be compressed.
_SIZE, _NOISE_FRACTION = (1024, 1024), 0.5
_PARALLEL = 16
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
    Compare the time from process start to the `initialize` response with a minimal server's.
    """
    with working_folder() as folder:
        log = Path(folder) / "log"
        ours = _server_command(folder)
        smallest = (sys.executable, "-c", _MINIMAL_SERVER)
        times: dict[str, list[float]] = {"ours": [], "smallest": []}
        for number in range(rounds + 1):
            for name, command in (("smallest", smallest), ("ours", ours)):
                with McpConnection(command, log) as wire:
                    if number:
                        times[name].append(wire.started)
    medians = {name: statistics.median(elapsed) for name, elapsed in times.items()}
    print("  medians:", *(f"{name} {elapsed * 1e3:.0f} ms" for name, elapsed in medians.items()))
    label = "spawn to initialize answered / the smallest server on the same SDK"
    return Figure(label, medians["ours"] / medians["smallest"], 1.5, "x")


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
    yield Figure(f"{_PARALLEL} parallel generations of one second", min(elapsed), 1.5, "s")
    for name, times in side_requests.items():
        slowest = [max(seconds) for seconds in times]
        quantiles = statistics.quantiles([seconds for round_ in times for seconds in round_], n=20)
        print(
            f"  {name}: median {quantiles[9] * 1e3:.1f}, 95 of 100 {quantiles[18] * 1e3:.1f}; "
            f"slowest of each round {', '.join(f'{item * 1e3:.0f}' for item in slowest)} ms"
        )
        label = f"slowest {name} while {_PARALLEL} generate"
        yield Figure(label, statistics.median(slowest) * 1e3, 50, "ms")


def _install_peer(folder: Path) -> str:
    """
    Install the server to compare with, in its own environment.
    """
    path = folder / "peer"
    subprocess.run([sys.executable, "-m", "venv", path], check=True, capture_output=True)
    scripts = path / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([scripts / "pip", "install", "--quiet", PEER], check=True, capture_output=True)
    return str(scripts / "openai-image-mcp")


_BARE = ("--preview-bytes", "0")


class PeerMissingError(Exception):
    """
    The server to compare with cannot be installed here.
    """


def calling(turns: int = 50) -> Figure:
    """
    Compare images of 1.5 MB in a long session with the same calls of openai-image-mcp.

    Its results have no image, so ours have no preview; the times with a preview, and without a
    session, are printed too.
    """
    with working_folder() as folder, serve_fixed_images(_SIZE, _NOISE_FRACTION) as url:
        try:
            peer = _install_peer(Path(folder))
        except subprocess.CalledProcessError as error:
            raise PeerMissingError(f"{PEER}: {error.stderr.decode()[-300:]}") from error
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}
        ours = (*_server_command(folder), "--daily-budget", "none")
        with (
            McpConnection((peer,), Path(folder) / "theirs.log", **env) as theirs,
            McpConnection((*ours, *_BARE), Path(folder) / "ours.log", **env) as own,
            McpConnection(ours, Path(folder) / "shown.log", **env) as shown,
        ):
            medians = _side_by_side(theirs, own, shown, turns)
    print("  medians:", *(f"{name} {elapsed * 1e3:.1f} ms;" for name, elapsed in medians.items()))
    label = f"a 1.5 MB PNG in a session of {turns} / openai-image-mcp 0.2.1"
    return Figure(label, medians["ours"] / medians["theirs"], 1.0, "x")


def _side_by_side(
    theirs: McpConnection, ours: McpConnection, shown: McpConnection, turns: int
) -> dict[str, float]:
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
            quantiles = json.loads(result["content"][0]["text"])
            assert quantiles["success"], quantiles
            times[name] += [elapsed] if number else []  # warmed up
    return {name: statistics.median(elapsed) for name, elapsed in times.items()}


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
                kinds = [seconds["type"] for seconds in result["content"]]
                assert ("image" in kinds) is preview
                label = f"result of one image, {'with' if preview else 'without'} its preview"
                yield Figure(label, length, maximum, "bytes")


FIGURES: Table = {
    "starting": starting,
    "many": many,
    "calling": calling,
    "weighing": weighing,
}


if __name__ == "__main__":
    main(sys.argv[1:], FIGURES)

"""
Measure what the MCP server promises, side by side in one run.

    python -m tests.bench.mcp_figures [NAME ...]

`tests/bench/test_mcp_figures.py` holds the figures, with `pytest --figures`.
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
from tests.bench.server import served
from tests.bench.wire import Wire

PEER = "openai-image-mcp==0.2.1"
OURS = (sys.executable, "-m", "imagesession_mcp")
# A picture of 1.5 MB: half of it noise, which no compression makes smaller.
_SIZE, _SHARE = (1024, 1024), 0.5
_MANY = 16
_SMALLEST = """
from mcp.server.mcpserver import MCPServer
server = MCPServer("smallest", log_level="WARNING")
@server.tool()
async def hello() -> str:
    "Say hello."
    return "hello"
server.run("stdio")
"""


def starting(rounds: int = 11) -> Figure:
    """
    Time from the start of the process to the answer to `initialize`, against the smallest server.
    """
    with working_folder() as folder:
        log = Path(folder) / "log"
        ours = (*OURS, "--library", str(Path(folder) / "library"))
        times: dict[str, list[float]] = {"ours": [], "smallest": []}
        for number in range(rounds + 1):
            for name, command in (("smallest", (sys.executable, "-c", _SMALLEST)), ("ours", ours)):
                with Wire(command, log) as wire:
                    if number:
                        times[name].append(wire.started)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    print("  medians:", *(f"{name} {taken * 1e3:.0f} ms" for name, taken in medians.items()))
    what = "spawn to initialize answered / the smallest server on the same SDK"
    return Figure(what, medians["ours"] / medians["smallest"], 1.5, "x")


def many(rounds: int = 5) -> Iterator[Figure]:
    """
    Time parallel generations of a second each, and what else is asked meanwhile.

    Of what is asked meanwhile the slowest of each round counts; of the rounds, the one in the
    middle, for the machine has moods of its own.
    """
    stats: dict[str, Any] = {"name": "get_server_stats", "arguments": {}}
    asked = {"ping": ("ping", {}), "get_server_stats": ("tools/call", stats)}
    with working_folder() as folder, served(_SIZE, 0.05, latency=1.0) as url:
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}
        command = (*OURS, "--library", str(Path(folder) / "library"), "--daily-budget", "none")
        with Wire(command, Path(folder) / "log", **env) as wire:
            wire.call("generate_image", prompt="a teapot")
            wire.call("get_server_stats")
            taken: list[float] = []
            asides: dict[str, list[list[float]]] = {name: [] for name in asked}
            for _ in range(rounds):
                start = time.perf_counter()
                calls = [
                    wire.begin("tools/call", {"name": "generate_image", "arguments": arguments})
                    for arguments in ({"prompt": f"teapot {number}"} for number in range(_MANY))
                ]
                for times in asides.values():
                    times.append([])
                while wait(calls, timeout=0.02).not_done:
                    for name, (method, params) in asked.items():
                        asides[name][-1].append(
                            seconds_of(lambda m=method, p=params: wire.ask(m, p))  # type: ignore[misc]
                        )
                taken.append(time.perf_counter() - start)
                assert not any(call.result()[0].get("isError") for call in calls)
    yield Figure(f"{_MANY} parallel generations of one second", min(taken), 1.5, "s")
    for name, times in asides.items():
        slowest = [max(item) for item in times]
        reported = statistics.quantiles([item for some in times for item in some], n=20)
        print(
            f"  {name}: median {reported[9] * 1e3:.1f}, 95 of 100 {reported[18] * 1e3:.1f}; "
            f"slowest of each round {', '.join(f'{item * 1e3:.0f}' for item in slowest)} ms"
        )
        what = f"slowest {name} while {_MANY} generate"
        yield Figure(what, statistics.median(slowest) * 1e3, 50, "ms")


def _peer(folder: Path) -> str:
    """
    Install the server that ours is measured against, in an environment of its own.
    """
    path = folder / "peer"
    subprocess.run([sys.executable, "-m", "venv", path], check=True, capture_output=True)
    scripts = path / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([scripts / "pip", "install", "--quiet", PEER], check=True, capture_output=True)
    return str(scripts / "openai-image-mcp")


class PeerMissingError(Exception):
    """
    The server that ours is measured against cannot be installed here.
    """


def calling(turns: int = 50) -> Figure:
    """
    Time each picture of 1.5 MB in a session of many, against the same calls of the seed.

    The seed's results hold no picture, so ours have no preview; what it costs is printed beside,
    and what a picture costs without a session.
    """
    with working_folder() as folder, served(_SIZE, _SHARE) as url:
        try:
            peer = _peer(Path(folder))
        except subprocess.CalledProcessError as error:
            raise PeerMissingError(f"{PEER}: {error.stderr.decode()[-300:]}") from error
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}
        ours = (*OURS, "--library", str(Path(folder) / "library"), "--daily-budget", "none")
        with (
            Wire((peer,), Path(folder) / "theirs.log", **env) as theirs,
            Wire(ours, Path(folder) / "ours.log", **env) as own,
        ):
            medians = _side_by_side(theirs, own, turns)
    print("  medians:", *(f"{name} {taken * 1e3:.1f} ms;" for name, taken in medians.items()))
    what = f"a 1.5 MB PNG in a session of {turns} / openai-image-mcp 0.2.1"
    return Figure(what, medians["ours"] / medians["theirs"], 0.8, "x")


def _side_by_side(theirs: Wire, ours: Wire, turns: int) -> dict[str, float]:
    single, bare = "generate_image", {"preview": False}
    session = "generate_image_in_session"
    in_theirs, in_ours, in_shown = (_begun(item) for item in (theirs, ours, ours))
    kinds: dict[str, Callable[[str], dict[str, Any]]] = {
        "theirs": lambda say: theirs.call(session, session_id=in_theirs, prompt=say),
        "ours": lambda say: ours.call(session, session_id=in_ours, prompt=say, **bare),
        "ours with preview": lambda say: ours.call(session, session_id=in_shown, prompt=say),
        "theirs alone": lambda say: theirs.call(single, prompt=say),
        "ours alone": lambda say: ours.call(single, prompt=say, **bare),
        "ours alone with preview": lambda say: ours.call(single, prompt=say),
    }
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(turns + 1):
        for name, make in kinds.items():
            start = time.perf_counter()
            result = make(f"a teapot, number {number}")
            taken = time.perf_counter() - start
            reported = json.loads(result["content"][0]["text"])
            assert reported["success"], reported
            times[name] += [taken] if number else []  # warmed up
    return {name: statistics.median(taken) for name, taken in times.items()}


def _begun(wire: Wire) -> str:
    begun = wire.call("create_image_session", description="A teapot for a tea shop")
    session_id: str = json.loads(begun["content"][0]["text"])["session_id"]
    return session_id


def weighing() -> Iterator[Figure]:
    """
    Weigh the result of one picture that is hard to compress, with its preview and without.
    """
    with working_folder() as folder, served(_SIZE) as url:
        env = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": url}
        command = (*OURS, "--library", str(Path(folder) / "library"))
        with Wire(command, Path(folder) / "log", **env) as wire:
            for preview, most in ((True, 110_000), (False, 2_000)):
                arguments = {"prompt": "a teapot", "preview": preview}
                params = {"name": "generate_image", "arguments": arguments}
                result, length = wire.begin("tools/call", params).result(60)
                assert not result.get("isError"), result
                kinds = [item["type"] for item in result["content"]]
                assert ("image" in kinds) is preview
                what = f"result of one image, {'with' if preview else 'without'} its preview"
                yield Figure(what, length, most, "bytes")


FIGURES: Table = {
    "starting": starting,
    "many": many,
    "calling": calling,
    "weighing": weighing,
}


if __name__ == "__main__":
    main(sys.argv[1:], FIGURES)

"""
An MCP client over stdin and stdout without the SDK, so that only the server is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


class McpConnection:
    """
    A started server and its connection, for concurrent requests.

    Attributes:
        started: Seconds from process start to the `initialize` response.
    """

    def __init__(self, command: Sequence[str], log: Path, **env: str) -> None:
        start = time.perf_counter()
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                command, env={**os.environ, **env}, text=True, bufsize=1 << 16, stderr=errors,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        self._pending: dict[int, Future[tuple[dict[str, Any], int]]] = {}
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.request("initialize", _HELLO)
        self.started = time.perf_counter() - start
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """
        Send a request, and wait for the response.
        """
        return self.send(method, params).result(60)[0]

    def call(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """
        Call a tool, and wait for its result.
        """
        return self.request("tools/call", {"name": name, "arguments": arguments})

    def send(self, method: str, params: dict[str, Any]) -> Future[tuple[dict[str, Any], int]]:
        """
        Send a request; the future has the result and its length in characters.
        """
        response: Future[tuple[dict[str, Any], int]] = Future()
        with self._lock:
            number = len(self._pending) + 1
            self._pending[number] = response
        self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return response

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "id" not in message or "method" in message:
                continue
            response = self._pending[message["id"]]
            if "error" in message:
                response.set_exception(RuntimeError(message["error"]))
            else:
                response.set_result((message["result"], len(line)))

"""
The program: `imagesession-mcp`, or `python -m imagesession_mcp`.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import attrs

from imagesession_mcp import cli

_FOR_PEOPLE = (
    "imagesession-mcp waits for an MCP client on this terminal; Ctrl+C stops it. Clients start it "
    "themselves (see --help); in Python, write: from imagesession import Studio"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Run the server until its client disconnects or a signal stops it.

    Args:
        arguments: The command line, without the program; None for this process's own.

    Raises:
        SystemExit: The server cannot start; a message was written to stderr. The status is 2 for
            an invalid value, otherwise 1.
    """
    settings = cli.parse(sys.argv[1:] if arguments is None else arguments, os.environ)
    if importlib.util.find_spec("mcp") is None:
        sys.exit("imagesession-mcp: install it with its server: pip install 'imagesession[mcp]'")
    # The SDK's handler logs to stderr; stdout is reserved for the protocol.
    logging.getLogger("imagesession_mcp").setLevel(logging.INFO)
    # Takes half a second, which --help does not need.
    name = "http" if settings.http else "stdio"
    transport = importlib.import_module(f"imagesession_mcp.{name}")
    with suppress(KeyboardInterrupt):
        if not settings.http and sys.stdin.isatty():
            print(_FOR_PEOPLE, file=sys.stderr)  # noqa: T201 - a person started it by hand
        asyncio.run(transport.serve(attrs.evolve(settings, owns_process=True)))


if __name__ == "__main__":
    main()

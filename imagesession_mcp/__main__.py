"""
The program: `imagesession-mcp`, or `python -m imagesession_mcp`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import attrs

from imagesession_mcp import commandline
from imagesession_mcp.commandline import Command


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Run the server until its client goes away or it is told to stop.

    Args:
        arguments: The command line, without the program; None for that of this process.

    Raises:
        SystemExit: It cannot start: a sentence was written to stderr, and the status is 2 for a
            value that cannot be, else 1.
    """
    command = commandline.read(sys.argv[1:] if arguments is None else arguments, os.environ)
    if importlib.util.find_spec("mcp") is None:
        sys.exit("imagesession-mcp: install it with its server: pip install 'imagesession[mcp]'")
    # Told on stderr by the handler that the SDK sets up; stdout is the client's.
    logging.getLogger("imagesession_mcp").setLevel(logging.INFO)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(command))


async def _serve(command: Command) -> None:
    settings = attrs.evolve(command.settings, alone=True)
    # Either takes half a second to load, which --help need not.
    if command.doors is None:
        from imagesession_mcp import stdio  # noqa: PLC0415

        await stdio.serve(settings)
    else:
        from imagesession_mcp import http  # noqa: PLC0415

        await http.serve(settings, command.doors)


if __name__ == "__main__":
    main()

"""
Run the checks against OpenAI by hand: `python -m tests.live > report.md`, with `OPENAI_API_KEY`.

It costs half a dollar or so, and stops before it could cost more than `--limit`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tempfile
from pathlib import Path

import openai

from imagesession import Budget, Studio, __version__

from .checks import STUDIO_IMAGES, Live, report
from .wire import MOST_PER_IMAGE, Purse, Wire


def main() -> None:
    """
    Read the arguments, run all checks, and print the report while it grows.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.live", description=__doc__)
    parser.add_argument("--limit", type=float, default=1.0, help="the most US dollars to spend")
    parser.add_argument("--photo", type=Path, help="a JPEG of a phone, with its colour profile")
    parser.add_argument(
        "--library", type=Path, help="where images are saved; default: a new folder"
    )
    arguments = parser.parse_args()
    library = arguments.library or Path(tempfile.mkdtemp(prefix="imagesession-live-"))
    purse = Purse(arguments.limit)
    client = openai.OpenAI(max_retries=0, timeout=600)
    # The purse counts the studio's images in full beforehand.
    budget = Budget(per_day=STUDIO_IMAGES * MOST_PER_IMAGE)
    with client, Studio(library, budget=budget) as studio:
        photo = arguments.photo.read_bytes() if arguments.photo else None
        live = Live(wire=Wire(client, purse), studio=studio, photo=photo)
        now = dt.datetime.now(dt.UTC)
        head = f"imagesession {__version__}, openai {openai.__version__}, {client.base_url}"
        sys.stdout.write(f"# Live checks of {now:%Y-%m-%d %H:%M} UTC\n\n{head}\n")
        for line in report(live):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

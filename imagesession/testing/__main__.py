"""
The command `python -m imagesession.testing serve`.
"""

import argparse
import contextlib
import signal
import sys
import threading
import types
from collections.abc import Sequence

from imagesession._fake_openai import FakeOpenAI
from imagesession._fake_openai.random_faults import FAULT_KINDS, checked
from imagesession._fake_openai.server import serve


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Serve the fake provider until SIGINT or SIGTERM.

    Args:
        arguments: The command line; by default that of the process.
    """
    options = _options(arguments)
    stop = threading.Event()

    def on_signal(_number: int, _frame: types.FrameType | None) -> None:
        stop.set()

    previous = {name: signal.signal(name, on_signal) for name in (signal.SIGINT, signal.SIGTERM)}
    provider = FakeOpenAI(latency=options.latency, seed=options.seed)
    provider.inject_faults(options.rates, seed=options.seed)
    with contextlib.ExitStack() as stack:
        for name, handler in previous.items():
            stack.callback(signal.signal, name, handler)
        try:
            served = stack.enter_context(serve(provider, port=options.port))
        except OSError as error:
            sys.exit(f"Cannot listen on port {options.port}: {error.strerror}")
        sys.stdout.write(f"{served.base_url}\n")
        sys.stdout.flush()
        sys.stderr.write(
            f"Offline provider: set OPENAI_BASE_URL={served.base_url} and any OPENAI_API_KEY. "
            "Ctrl-C stops it.\n"
        )
        # The wait is bounded, because on Windows a signal does not end an unbounded one.
        while not stop.wait(0.2):
            pass


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        options.rates = checked(dict(options.fault))
    except ValueError as error:
        parser.error(str(error))
    return options


def _rate(text: str) -> tuple[str, float]:
    kind, _, rate = text.partition("=")
    try:
        return kind.strip(), float(rate)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not KIND=RATE, such as 429=0.1") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m imagesession.testing", description="Tools for testing without a key."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "serve",
        help="serve the fake provider on this machine",
        description="Serve OpenAI's API on 127.0.0.1: Responses, Conversations, Images, Files, "
        "Batches and Models. Images are sketches. The first line of output is the base URL.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.add_argument("--port", type=int, default=0, help="where to listen; 0 picks a free port")
    command.add_argument(
        "--latency", type=float, default=0.0, metavar="SECONDS", help="how long an image takes"
    )
    command.add_argument(
        "--seed", type=int, default=0, help="seed for the sketches and the injected faults"
    )
    command.add_argument(
        "--fault", type=_rate, action="append", default=[], metavar="KIND=RATE",
        help=f"inject a fault at a rate from 0 to 1; may be repeated. "
        f"Kinds: {', '.join(FAULT_KINDS)}",
    )  # fmt: skip
    command.add_argument(
        "--host", choices=["127.0.0.1"], default="127.0.0.1", help="always this machine only"
    )
    return parser


if __name__ == "__main__":
    main()

"""
Child processes that kill themselves at a given step. They are forked from a program that stays,
because importing takes longer than their work.
"""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Literal

When = Literal["before", "after"]
Kill = Callable[[str, int, When], int]
"""Runs a child under a name, which dies before or after a step; returns its exit code."""


@contextmanager
def dying(module: str, *arguments: str) -> Generator[Kill, None, None]:
    """
    Start a program that calls `die_at_step`; yield the function that runs its children.

    Args:
        module: The program.
        arguments: The program's arguments.
    """
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as parent:  # fmt: skip
        stdin, stdout = parent.stdin, parent.stdout
        assert stdin is not None
        assert stdout is not None

        def kill(name: str, number: int, when: When) -> int:
            print(name, number, when, file=stdin, flush=True)
            return int(stdout.readline())

        yield kill
        stdin.close()


def die_at_step(die: Kill) -> None:
    """
    Run a child for each line of stdin.

    Args:
        die: Runs in the child; its result is the exit code if the child survives.
    """
    for line in sys.stdin:
        name, number, text = line.split()
        when: When = "before" if text == "before" else "after"
        child = os.fork()
        if not child:
            code = 255
            try:
                code = die(name, int(number), when)
            except BaseException:  # noqa: BLE001 - the child must print it before it exits
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer

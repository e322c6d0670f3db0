"""
Children that die at a chosen step, of a program that outlives them: importing it takes longer than
what they do.
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
"""Has a child do something under a name and die before or after a step; tells how it ended."""


@contextmanager
def dying(module: str, *arguments: str) -> Generator[Kill, None, None]:
    """
    Start a program that calls `die_as_told`; give what has its children killed.

    Args:
        module: The program.
        arguments: What it is told.
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
    Die as told on stdin, again and again.

    Args:
        die: Does it, in a child; what it returns is how the child ends if it lives.
    """
    for line in sys.stdin:
        name, number, text = line.split()
        when: When = "before" if text == "before" else "after"
        child = os.fork()
        if not child:
            code = 255
            try:
                code = die(name, int(number), when)
            except BaseException:  # noqa: BLE001 - nobody else is there to tell it
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer

"""
Tests that turn the clock: what was done some time ago, without waiting for it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import time
from collections.abc import Generator
from pathlib import Path

import attrs
import pytest

from imagesession._library.library import Library
from imagesession._plan.store import Begun


@contextlib.contextmanager
def ago(span: dt.timedelta, library: Path) -> Generator[None, None, None]:
    """
    Have what the block does in a library lie so far back.

    Args:
        span: How long ago it is.
        library: The library's folder; the files of sessions that are new are made as old.
    """
    folder = library / ".imagesession" / "sessions"
    before = set(folder.glob("*.json"))
    real_time, real_begin = time.time_ns, Library.begin

    def begin(store: Library, after: str = "") -> Begun:
        begun = real_begin(store, after)
        return attrs.evolve(begun, at=begun.at - span)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: real_time() - int(span.total_seconds() * 1e9))
        patch.setattr(Library, "begin", begin)
        yield
    then = time.time() - span.total_seconds()
    for file in set(folder.glob("*.json")) - before:
        os.utime(file, (then, then))

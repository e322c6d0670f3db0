"""
Looking at a picture: what a request asks about, measured when the answer is wanted.
"""

import functools
from collections.abc import Callable

import attrs

from imagesession._offline.findings import report


@attrs.frozen(kw_only=True, eq=False)
class Sight:
    """
    Look at a picture once, and not before somebody reads what was seen.

    Attributes:
        load: Gives the encoded picture, or None if there is none to look at.

    """

    load: Callable[[], bytes | None] = attrs.field(repr=False)

    @functools.cached_property
    def text(self) -> str:
        """
        What is wrong with the picture, as JSON.
        """
        return report(self.load())

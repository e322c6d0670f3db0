"""
What `studio.images`, `studio.sessions`, `studio.batches`, `studio.models` and `studio.requests`
share.
"""

from __future__ import annotations

from typing import Generic

import attrs

from imagesession._api.signatures import public_base
from imagesession._runtime.runtime import AnyRuntime


@public_base
@attrs.frozen(eq=False, repr=False)
class Resource(Generic[AnyRuntime]):
    """
    A part of a studio that lists and finds things of one kind.
    """

    _runtime: AnyRuntime

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._runtime.library.address!r}>"

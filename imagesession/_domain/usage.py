"""
The usage that a provider reports.
"""

from __future__ import annotations

from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Usage:
    """
    The usage that a provider reports, in tokens, as received.

    Attributes:
        mainline: The usage of the mainline model.
        image: The usage of the image model, which is billed separately.
        tier: The service tier by which the request was served, if it was reported.
    """

    mainline: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    tier: str | None = None

"""
What the provider says was used of its models.
"""

from __future__ import annotations

from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Usage:
    """
    What the provider says was used, in tokens, as it said it.

    Attributes:
        mainline: Of the model that leads the conversation.
        image: Of the model that draws, which is billed apart.
    """

    mainline: dict[str, Any] | None = None
    image: dict[str, Any] | None = None

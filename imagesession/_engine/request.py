"""
What callers ask for, and the terms on which it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from imagesession._domain.model_catalog import ModelCatalog
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Kind, ProviderState

from .store import Source

if TYPE_CHECKING:
    from imagesession._domain.budget import Budget


@attrs.frozen(kw_only=True)
class GenerateRequest:
    """
    What a caller asks for.

    Attributes:
        prompt: In words.
        choices: Options that the call names.
        references: Pictures that go along.
        edits: Whether a picture is changed, not a new one made.
        image: The picture that is changed; None for the session's last one.
        mask: Marks what may change.
        markup: A drawing that lies over the picture that is changed.
        resize_mask: Whether mask and markup are rescaled to the picture.
        preserve_unmasked: Whether to keep beside the reply one whose pixels outside the mask are
            the original's.
        partial_images: How many pictures on the way are wanted.
        kind: What it is for.
        label: Whose folder of that kind.
        parameters: What the verb was told beside the prompt.
        idempotency_key: The caller's own name for it, by which it is made only once.
    """

    prompt: str
    choices: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    references: tuple[Source, ...] = ()
    edits: bool = False
    image: Source | None = None
    mask: Source | None = None
    markup: Source | None = None
    resize_mask: bool = False
    preserve_unmasked: bool = False
    partial_images: int = 0
    kind: Kind = "general"
    label: str = ""
    parameters: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    idempotency_key: str | None = None


@attrs.frozen(kw_only=True)
class StudioConfig:
    """
    What holds for everything that a studio asks.

    Attributes:
        catalogue: What is known of the models.
        options: What is asked of every picture, unless a session or call says otherwise.
        provider_state: What the provider keeps of a turn; see `Studio`.
        remember: How many earlier turns the model is told of at most; None for all.
        budget: What it may cost; None for no limit.
        timeout: Seconds to look for a picture that was accepted.
        retry_timeout: Seconds to go on trying while the provider turns a request away.
        interval: Seconds between requests of all processes on the library; 0 for no limit.
        in_flight: How many requests all processes on the library may have under way; None for no
            limit.
        max_active_sessions: How many sessions may be active.
        session_idle_timeout: Seconds after which a session in which nothing happens is idle.
    """

    catalogue: ModelCatalog
    options: GenerateOptions = GenerateOptions()
    provider_state: ProviderState = "responses"
    remember: int | None = None
    budget: Budget | None = None
    timeout: float = 600.0
    retry_timeout: float = 60.0
    interval: float = 0.0
    in_flight: int | None = None
    max_active_sessions: int = 100
    session_idle_timeout: float = 3600.0

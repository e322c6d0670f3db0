"""
A caller's request, and the studio's configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from imagesession._domain.call_settings import CallSettings
from imagesession._domain.model_catalog import CompletionWindow, ModelCatalog
from imagesession._domain.options import GenerateOptions
from imagesession._domain.servers import UNKNOWN_SERVER, ServerProfile
from imagesession._domain.turn import Api, Kind, ProviderState

from .pixels import Source

if TYPE_CHECKING:
    from imagesession._domain.budget import Budget


@attrs.frozen(kw_only=True)
class GenerateRequest:
    """
    A caller's request for an image.

    Attributes:
        edits: Whether an image is edited instead of a new one made.
        image: The image to edit; None for the session's last one.
        markup: A drawing that lies over the image to edit.
        resize_mask: Whether mask and markup are rescaled to the image.
        preserve_unmasked: Whether to keep, beside the reply, an image whose pixels outside the mask
            are the original's.
        keep_exif: Whether Exif, XMP and IPTC data of input images are sent.
        label: The name of the image's folder within its kind.
        parameters: The method's other arguments, to record with the turn.
        idempotency_key: The caller's own name for it, by which it is made only once.
        api: The API that makes it; None for the session's or studio's choice.
        count: How many images one request makes; more than one by the Images API only.
        within: The window in which the provider may complete it.
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
    keep_exif: bool = False
    partial_images: int = 0
    kind: Kind = "general"
    label: str = ""
    parameters: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    idempotency_key: str | None = None
    settings: CallSettings = attrs.field(factory=CallSettings)
    api: Api | None = None
    count: int = 1
    within: CompletionWindow = "soonest"


@attrs.frozen(kw_only=True)
class StudioConfig:
    """
    A studio's configuration, which applies to all its requests.

    Attributes:
        api: The API that makes images; see `Studio`.
        provider_state: What the provider keeps of a turn; see `Studio`.
        remember: How many earlier turns are sent as context at most; None for all.
        timeout: Seconds to wait for the image of an accepted request.
        retry_timeout: Seconds to retry while the provider rejects a request temporarily.
        interval: Seconds between requests of all processes on the library; 0 for no limit.
        in_flight: How many requests all processes on the library may have under way; None for no
            limit.
        session_idle_timeout: Seconds without activity after which a session is idle.
        extra_headers: Headers of paid requests in addition to the client's.
    """

    catalogue: ModelCatalog
    options: GenerateOptions = GenerateOptions()
    server: ServerProfile = UNKNOWN_SERVER
    api: Api = "responses"
    provider_state: ProviderState = "responses"
    remember: int | None = None
    budget: Budget | None = None
    timeout: float = 600.0
    retry_timeout: float = 60.0
    interval: float = 0.0
    in_flight: int | None = None
    max_active_sessions: int = 100
    session_idle_timeout: float = 3600.0
    extra_headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    extra_body: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)

    def for_call(self, settings: CallSettings) -> StudioConfig:
        return attrs.evolve(
            self,
            timeout=self.timeout if settings.timeout is None else settings.timeout,
            extra_headers={**self.extra_headers, **(settings.extra_headers or {})},
            extra_body={**self.extra_body, **(settings.extra_body or {})},
        )

    @property
    def takes_several(self) -> bool:
        return self.api == "images" and "n" not in self.server.refuses

    @property
    def uses_images_api(self) -> bool:
        """
        Whether images are made by the Images API, as far as is known before anything is sent.
        """
        lacks_tool = not self.server.lacks.isdisjoint({"responses", "image_tool"})
        return self.api == "images" or lacks_tool


def image_model(options: GenerateOptions, config: StudioConfig) -> str:
    return config.catalogue.resolve("image", options.image_models[0])

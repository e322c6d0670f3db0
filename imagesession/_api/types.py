"""
The types of the verbs' arguments: images in every form, and shared keywords.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias, cast

from imagesession._api.image import ImageFacts
from imagesession._api.signatures import Verb, expand_signature
from imagesession._domain.options import OptionParams
from imagesession._engine.pixels import NamedSource, Source
from imagesession._imaging.arrays import has_pixels, is_buffer

if TYPE_CHECKING:
    import os

    from PIL import Image

    from imagesession._domain.progress import OnProgress
    from imagesession._domain.turn import Api, ProviderState
    from imagesession._imaging.arrays import Pixels
    from imagesession._imaging.mask import Mask

_Buffer: TypeAlias = "bytes | bytearray | memoryview"
_Memory: TypeAlias = "_Buffer | BinaryIO | Image.Image | Pixels"
ImageInput: TypeAlias = "str | os.PathLike[str] | _Memory | ImageFacts[Any]"
"""
An image: a path, a `file:` or `data:` URL, base64, the id of a saved image, bytes or another
buffer, an open file, a PIL image, an array such as NumPy's, or a saved image.
"""
ImageInputs: TypeAlias = "ImageInput | Iterable[ImageInput] | Mapping[str, ImageInput]"
"""One image or several; or images by their roles in words, such as `{"logo": "logo.png"}`."""

# The values of the built-in presets' parameters. A preset that replaces one may have others:
# `preset` accepts any, and they are checked when they are used.
BackgroundType: TypeAlias = Literal["white", "transparent", "lifestyle"]
Angle: TypeAlias = Literal["front", "side", "three-quarter", "top"]
Lighting: TypeAlias = Literal["studio", "natural", "dramatic", "soft"]
AssetType: TypeAlias = Literal["icon", "illustration", "background", "hero", "button"]
Theme: TypeAlias = Literal["modern", "classic", "minimal", "playful"]
StylePreset: TypeAlias = Literal["flat", "3d", "outline", "filled"]
Anchor: TypeAlias = Literal[
    "center", "left", "right", "top", "bottom",
    "top-left", "top-right", "bottom-left", "bottom-right",
]  # fmt: skip
SizePreset: TypeAlias = Literal["small", "standard", "large"]


class CallParams(OptionParams, total=False):
    timeout: float | None
    extra_headers: Mapping[str, str] | None
    extra_body: Mapping[str, Any] | None


class RequestParams(CallParams, total=False):
    api: Api | None
    idempotency_key: str | None
    on_progress: OnProgress | None


class ImproveParams(RequestParams, total=False):
    image: ImageInput | None


class ReferenceParams(RequestParams, total=False):
    references: ImageInputs
    keep_exif: bool


class GenerateParams(ReferenceParams, total=False):
    mask: ImageInput | Mask | None


class StreamParams(GenerateParams, total=False):
    partial_images: int


class EditParams(GenerateParams, total=False):
    image: ImageInput | None
    resize_mask: bool
    preserve_unmasked: bool
    markup: ImageInput | None


class VariationParams(ReferenceParams, total=False):
    image: ImageInput | None


class PresetParams(ReferenceParams, total=False):
    params: Mapping[str, str] | None


class ProductParams(ReferenceParams, total=False):
    background_type: BackgroundType
    angle: Angle
    lighting: Lighting


class UIAssetParams(ReferenceParams, total=False):
    theme: Theme
    style_preset: StylePreset
    size_preset: SizePreset


class SessionParams(OptionParams, total=False):
    name: str | None
    provider_state: ProviderState | None
    remember: int | None
    api: Api | None
    references: ImageInputs


class EstimateParams(OptionParams, total=False):
    image: ImageInput | None
    references: ImageInputs
    mask: ImageInput | Mask | None
    partial_images: int
    api: Api | None


PRODUCT_DEFAULTS = {"background_type": "white", "angle": "front", "lighting": "studio"}
UI_ASSET_DEFAULTS = {"theme": "modern", "style_preset": "flat", "size_preset": "standard"}
STREAMED_PARTIALS = 2
# The defaults that signatures show for keywords other than options, in this order.
_DEFAULTS: dict[str, object] = {
    "name": None,
    "provider_state": None,
    "remember": None,
    "params": None,
    **PRODUCT_DEFAULTS,
    **UI_ASSET_DEFAULTS,
    "partial_images": 0,
    "image": None,
    "mask": None,
    "resize_mask": False,
    "preserve_unmasked": False,
    "markup": None,
    "references": (),
    "api": None,
    "keep_exif": False,
    "idempotency_key": None,
    "on_progress": None,
    "timeout": None,
    "extra_headers": None,
    "extra_body": None,
}


def own_keywords(params: type[OptionParams]) -> list[str]:
    return [name for name in _DEFAULTS if name in params.__annotations__]


def takes_keywords(params: type[OptionParams], **defaults: object) -> Callable[[Verb], Verb]:
    """
    Return a decorator that spells out a verb's keywords in its signature, with those defaults that
    differ in this verb.
    """
    shown = {name: _DEFAULTS[name] for name in own_keywords(params)}
    return expand_signature(params, **shown | defaults)


def to_sources(images: ImageInputs) -> tuple[Source, ...]:
    if isinstance(images, Mapping):
        named = cast("Mapping[str, ImageInput]", images)
        return tuple(NamedSource(role, to_source(image)) for role, image in named.items())
    single = isinstance(images, (str, ImageFacts)) or hasattr(images, "read")
    if isinstance(images, Iterable) and not (single or has_pixels(images) or is_buffer(images)):
        return tuple(to_source(image) for image in cast("Iterable[ImageInput]", images))
    return (to_source(cast("ImageInput", images)),)


def to_source(image: ImageInput | Mask) -> Source:
    """
    Convert an image or mask to the form that the engine takes.
    """
    return image.record if isinstance(image, ImageFacts) else image


def to_source_or_none(image: ImageInput | Mask | None) -> Source | None:
    return None if image is None else to_source(image)

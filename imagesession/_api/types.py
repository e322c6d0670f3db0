"""
What verbs take: images in every form, and the keywords that they have in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias, cast

from imagesession._api.image import ImageFacts
from imagesession._api.signatures import expand_signature
from imagesession._model.options import OptionKeywords
from imagesession._plan.store import Source

if TYPE_CHECKING:
    import os

    from PIL import Image

    from imagesession._model.progress import OnProgress
    from imagesession._pixels.masks import Mask

ImageInput: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | ImageFacts[Any]"
"""An image: a path, the id of a stored one, bytes, an open file, a PIL image, or a stored one."""
ImageInputs: TypeAlias = "ImageInput | Iterable[ImageInput]"
"""One image or several."""

# The parameters of the packed presets. One that is registered in their place may have more:
# `preset` takes any, and their values are checked when they are used.
BackgroundType: TypeAlias = Literal["white", "transparent", "lifestyle"]
Angle: TypeAlias = Literal["front", "side", "three-quarter", "top"]
Lighting: TypeAlias = Literal["studio", "natural", "dramatic", "soft"]
AssetType: TypeAlias = Literal["icon", "illustration", "background", "hero", "button"]
Theme: TypeAlias = Literal["modern", "classic", "minimal", "playful"]
StylePreset: TypeAlias = Literal["flat", "3d", "outline", "filled"]
SizePreset: TypeAlias = Literal["small", "standard", "large"]


class ImproveParams(OptionKeywords, total=False):
    """
    The keywords of `improve`: all options, and those of a single request.
    """

    intent_id: str | None
    on_progress: OnProgress | None


class GenerateParams(ImproveParams, total=False):
    """
    The keywords of every verb that makes an image.
    """

    reference: ImageInputs


class VariationParams(GenerateParams, total=False):
    """
    The keywords of `variations`.
    """

    image: ImageInput | None


class PresetParams(GenerateParams, total=False):
    """
    The keywords of `preset`.
    """

    params: Mapping[str, str] | None


class ProductParams(GenerateParams, total=False):
    """
    The keywords of `product`.
    """

    background_type: BackgroundType
    angle: Angle
    lighting: Lighting


class UIAssetParams(GenerateParams, total=False):
    """
    The keywords of `ui_asset`.
    """

    theme: Theme
    style_preset: StylePreset
    size_preset: SizePreset


PRODUCT_DEFAULTS = {"background_type": "white", "angle": "front", "lighting": "studio"}
UI_ASSET_DEFAULTS = {"theme": "modern", "style_preset": "flat", "size_preset": "standard"}
_IMPROVE_DEFAULTS: dict[str, object] = {"intent_id": None, "on_progress": None}
_GENERATE_DEFAULTS: dict[str, object] = {"reference": (), **_IMPROVE_DEFAULTS}

takes_options = expand_signature(OptionKeywords)
takes_improve_params = expand_signature(ImproveParams, **_IMPROVE_DEFAULTS)
takes_generate_params = expand_signature(GenerateParams, **_GENERATE_DEFAULTS)
takes_variation_params = expand_signature(VariationParams, image=None, **_GENERATE_DEFAULTS)
takes_preset_params = expand_signature(PresetParams, params=None, **_GENERATE_DEFAULTS)
takes_product_params = expand_signature(ProductParams, **PRODUCT_DEFAULTS, **_GENERATE_DEFAULTS)
takes_ui_asset_params = expand_signature(UIAssetParams, **UI_ASSET_DEFAULTS, **_GENERATE_DEFAULTS)


def own_keywords(params: type[ImproveParams]) -> frozenset[str]:
    """
    Return the keywords of a verb that are no options.
    """
    return frozenset(params.__annotations__) - frozenset(OptionKeywords.__annotations__)


def to_sources(images: ImageInputs) -> tuple[Source, ...]:
    """
    Return images as the library takes them, whether one was given or several.
    """
    single = isinstance(images, (str, bytes)) or hasattr(images, "read")
    if isinstance(images, Iterable) and not single:
        return tuple(to_source(image) for image in cast("Iterable[ImageInput]", images))
    return (to_source(cast("ImageInput", images)),)


def to_source(image: ImageInput | Mask) -> Source:
    """
    Return an image or mask as the library takes it.
    """
    return image.record if isinstance(image, ImageFacts) else image


def to_source_or_none(image: ImageInput | Mask | None) -> Source | None:
    """
    Return an image or mask as the library takes it, if there is one.
    """
    return None if image is None else to_source(image)

"""
Load the images that a request is given: the one to edit, references, a mask and a markup.
"""

from __future__ import annotations

import attrs

from imagesession._domain.options import GenerateOptions
from imagesession.errors import InvalidImageError, InvalidOptionError

from .effects import PixelCall, Workflow
from .pixels import InputImage, NamedSource, Source
from .reference_board import find_reference
from .request import GenerateRequest, StudioConfig, image_model
from .sessions import BranchHead
from .validate import validate_reference_count, validate_role


@attrs.frozen(kw_only=True)
class InputImages:
    """
    The input images of a request.

    Attributes:
        images: All references; the one to edit comes first.
        markup: A drawing that lies over the first image.
    """

    images: tuple[InputImage, ...] = ()
    edits_first_image: bool = False
    mask: InputImage | None = None
    markup: InputImage | None = None


def load_input_image(source: Source, *, keep_exif: bool = False) -> Workflow[InputImage]:
    if isinstance(source, NamedSource):
        validate_role(source.role)
        image = yield from load_input_image(source.source, keep_exif=keep_exif)
        return attrs.evolve(image, role=source.role)
    return (yield from PixelCall(lambda pixels: pixels.load(source, keep_exif=keep_exif)))


def load_input_images(
    request: GenerateRequest,
    options: GenerateOptions,
    config: StudioConfig,
    branch_head: BranchHead | None,
) -> Workflow[InputImages]:
    """
    Load the input images: the one to edit, if it has to be sent, the references, and those of the
    session's board. Images with a role come last.
    """
    images: list[InputImage] = []
    base = yield from _load_base_image(request, branch_head)
    if base is not None:
        images.append(base)
    for source in request.references:
        images.append((yield from load_input_image(source, keep_exif=request.keep_exif)))  # noqa: PERF401 - an effect cannot be yielded in a comprehension
    if request.mask is None and request.markup is None:
        _check_mask_options(request)
        everything = yield from _with_board(images, branch_head)
        return InputImages(images=everything, edits_first_image=base is not None)
    if not images:
        raise InvalidImageError(
            "A mask needs an image. Pass one with image= or references=, or continue a session "
            "that has one."
        )
    mask = markup = None
    resize = request.resize_mask
    if request.mask is not None:
        mask = yield from PixelCall(
            lambda pixels: pixels.mask(request.mask, images[0], resize_mask=resize)
        )
    if request.markup is not None:
        _check_markup(request, options, config)
        markup = yield from PixelCall(
            lambda pixels: pixels.markup(request.markup, images[0], resize_mask=resize)
        )
    everything = yield from _with_board(images, branch_head)
    return InputImages(images=everything, edits_first_image=True, mask=mask, markup=markup)


def _with_board(
    images: list[InputImage], branch_head: BranchHead | None
) -> Workflow[tuple[InputImage, ...]]:
    """
    Add the images of the session's reference board that are not among the others.
    """
    board = branch_head.record.references if branch_head else ()
    everything = [*images]
    for reference in board:
        if all(image.image_id != reference.image_id for image in images):
            turn, position = yield from find_reference(reference)
            source = NamedSource(reference.role, turn.images[position])
            everything.append((yield from load_input_image(source)))
    validate_reference_count(len(everything), len(board))
    return tuple(sorted(everything, key=lambda image: bool(image.role)))


def _load_base_image(
    request: GenerateRequest, branch_head: BranchHead | None
) -> Workflow[InputImage | None]:
    """
    Load the image to edit, if it has to be sent.

    The model knows the session's last image, so that is only sent if a mask or markup has to fit
    it.
    """
    last = branch_head.head.images[-1] if branch_head and branch_head.head else None
    fitted = request.mask is not None or request.markup is not None
    if request.image is not None:
        base = yield from load_input_image(request.image, keep_exif=request.keep_exif)
        known = last is not None and base.image_id == last.id
        return None if known and not fitted else base
    if request.edits and last is None:
        raise InvalidImageError(
            "There is no image to edit. Pass one with image=; a session's own last image "
            "is taken once there is one."
        )
    if last is not None and fitted and (request.edits or not request.references):
        return (yield from load_input_image(last))
    return None


def _check_mask_options(request: GenerateRequest) -> None:
    if request.resize_mask or request.preserve_unmasked:
        option = "preserve_unmasked" if request.preserve_unmasked else "resize_mask"
        raise InvalidOptionError(
            f"{option}=True needs a mask; pass one with mask=.", option, value=True
        )


def _check_markup(request: GenerateRequest, options: GenerateOptions, config: StudioConfig) -> None:
    # https://developers.openai.com/api/reference/resources/images/methods/edit (markup)
    if request.mask is not None:
        raise InvalidOptionError(
            "markup= and mask= do not go together; pass one of them.", "markup"
        )
    if request.partial_images:
        raise InvalidOptionError(
            "markup= does not go with partial_images=; leave one of them out.", "markup"
        )
    model = config.catalogue.find(image_model(options, config))
    if model is not None and not model.markup:
        raise InvalidOptionError(
            f"{model.id} does not take markup=; the models of GPT Image 2.5 and 2.6 do, such as "
            f"image_model={config.catalogue.image!r}.",
            "image_model",
            model.id,
            (config.catalogue.image,),
        )

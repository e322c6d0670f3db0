"""
Reject requests that the provider would reject, before anything is sent, and suggest valid values.
"""

from __future__ import annotations

import datetime as dt
import difflib
import inspect
from collections.abc import Iterable
from typing import get_args

from imagesession._domain.caller_warnings import warn_caller
from imagesession._domain.model_catalog import Kind, ModelCatalog, ModelInfo, SizeRule
from imagesession._domain.options import GenerateOptions, parse_size
from imagesession._domain.servers import ServerProfile
from imagesession._domain.sizes import is_supported, nearest_sizes
from imagesession._domain.turn import APIS, Api, ProviderState
from imagesession._domain.wording import quote
from imagesession.errors import (
    InvalidImageError,
    InvalidOptionError,
    InvalidPromptError,
    InvalidRequestError,
    ModelDeprecationWarning,
    ModelRetiredError,
)

# https://developers.openai.com/api/reference/resources/images: prompt, image[]
MAX_PROMPT = 32_000
MAX_REFERENCES = 16
MAX_ROLE = 80
MAX_OWNER = 200
MAX_PARTIALS = 3


def validate_prompt(prompt: object) -> str:
    if not isinstance(prompt, str):
        kind = type(prompt).__name__
        remedy = 'Write the prompt first, and images by name: edit("bluer", image=photo).'
        if inspect.isawaitable(prompt):
            remedy = 'Write "await" in front of the call that makes it.'
        elif kind in {"list", "tuple"}:
            remedy = "studio.map([…]) makes an image of each of many prompts."
        raise InvalidPromptError(f"The prompt is {kind}, not text. {remedy}")
    if not is_encodable(prompt):
        raise InvalidPromptError(
            "The prompt contains a lone surrogate (half a character), which cannot be sent. Check "
            "where it was cut or decoded."
        )
    if not prompt.strip():
        raise InvalidPromptError("The prompt is empty; say what the image should show.")
    if len(prompt) > MAX_PROMPT:
        raise InvalidPromptError(
            f"The prompt has {len(prompt):,} characters; the provider takes {MAX_PROMPT:,}. "
            "Shorten it."
        )
    return prompt


def validate_label(what: str, label: object, *, empty: bool = True) -> str:
    if not isinstance(label, str):
        raise InvalidRequestError(f"{what} is {quote(label)}: {type(label).__name__}, not text.")
    if not is_encodable(label):
        raise InvalidRequestError(
            f"{what} is {quote(label)}, which contains half a character and cannot be encoded."
        )
    if not empty and not label.strip():
        raise InvalidRequestError(f"{what} is empty.")
    return label


def validate_owner(owner: object) -> str:
    name = validate_label("The owner", owner, empty=False)
    if len(name) > MAX_OWNER or not name.isprintable():
        raise InvalidRequestError(
            f"The owner {quote(name)} is not a name of at most {MAX_OWNER} printable characters; "
            "pass your own id of a user."
        )
    return name


def is_encodable(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def validate_reference_count(count: int, board: int = 0) -> None:
    if count > MAX_REFERENCES:
        among = f", with the {board} of the session's board" if board else ""
        remedy = ", or change the board with session.update(references=…)" if board else ""
        raise InvalidImageError(
            f"There are {count} references{among}; the provider takes {MAX_REFERENCES}. "
            f"Leave out {count - MAX_REFERENCES}{remedy}."
        )


def validate_role(role: str) -> None:
    validate_label("The role of a reference", role, empty=False)
    if len(role) > MAX_ROLE or not role.isprintable():
        raise InvalidRequestError(
            f"The role of a reference is {quote(role)}. Say it in a few words on one line, such as "
            '"logo": at most 80 characters.'
        )


def validate_api(api: object) -> Api:
    for name in APIS:
        if api == name:
            return name
    raise InvalidRequestError(f'api={api!r} is not "responses" or "images".')


def validate_memory(provider_state: object, remember: object) -> None:
    states = get_args(ProviderState)
    if provider_state is not None and provider_state not in states:
        choices = ", ".join(f'"{state}"' for state in states)
        raise InvalidRequestError(
            f"provider_state={quote(provider_state)} is not one of {choices}."
        )
    if remember is not None and (type(remember) is not int or remember < 1):
        raise InvalidRequestError(
            f"remember={quote(remember)} is not a whole number of turns, 1 or more."
        )


def validate_partial_images(partial_images: object) -> int:
    if type(partial_images) is int and 0 <= partial_images <= MAX_PARTIALS:
        return partial_images
    raise InvalidOptionError(
        f"partial_images={quote(partial_images)} is not a whole number from 0 to {MAX_PARTIALS}.",
        "partial_images",
        partial_images,
        ("2",),
    )


def validate_options(
    options: GenerateOptions,
    catalogue: ModelCatalog,
    today: dt.date,
    *,
    partial_images: int = 0,
    masked: bool = False,
) -> str:
    """
    Check options against each other and against the model catalogue; return the name of the
    mainline model to use. Unknown models are accepted, as other providers have their own.
    """
    mainline, image_id = validate_models(options, catalogue, today)
    image = catalogue.find(image_id)
    if image is not None:
        _check_against(image, options)
    _check_format(options, partial_images, masked=masked)
    return mainline


def validate_for_server(
    options: GenerateOptions, server: ServerProfile, *, mask: bool = False, markup: bool = False
) -> None:
    inputs = {
        "mask": mask and "masks" in server.lacks,
        "markup": markup and "markup" in server.lacks,
    }
    refused = [name for name in options.changed() if name in server.refuses]
    refused += [name for name, lacking in inputs.items() if lacking]
    if refused:
        raise InvalidOptionError(
            f"The server {server.name!r} does not take {' or '.join(refused)}; nothing was sent. "
            f"Leave {'them' if len(refused) > 1 else 'it'} out, or describe it in the prompt.",
            refused[0],
            getattr(options, refused[0], True),
            ("auto",) if refused[0] in options.changed() else (),
        )
    if server.model_header is not None and options.image_model == "auto":
        raise InvalidOptionError(
            f"On {server.name}, image_model= has to name the deployment of your image model; "
            f"nothing was sent. It goes along as {server.model_header}.",
            "image_model",
            "auto",
        )
    if server.aspect_ratios and options.size != "auto":
        server.aspect_ratio(options.size)


def validate_edit(server: ServerProfile) -> None:
    if "edits" in server.lacks:
        raise InvalidImageError(
            f"The server {server.name!r} does not take images; nothing was sent. Make a new image "
            "with studio.generate(), or use another server."
        )


def validate_models(
    options: GenerateOptions, catalogue: ModelCatalog, today: dt.date
) -> tuple[str, str]:
    """
    Check that both models can still be used, each for its role; return the names of the mainline
    model and the image model.
    """
    mainline = catalogue.resolve("mainline", options.model)
    _check_model("model", mainline, "mainline", catalogue, today)
    image_id = catalogue.resolve("image", options.image_model)
    _check_model("image_model", image_id, "image", catalogue, today)
    return mainline, image_id


def _check_model(
    option: str, model_id: str, kind: Kind, catalogue: ModelCatalog, today: dt.date
) -> None:
    model = catalogue.find(model_id)
    if model is None:
        return
    other = "image_model" if model.kind == "image" else "model"
    if model.is_retired(today):
        instead = f" Use {other}={model.replacement or 'auto'!r} instead."
        raise ModelRetiredError(
            f"{option}={model_id!r} was shut down on {model.shutdown}.{instead}",
            model_id,
            model.replacement,
        )
    if model.kind != kind:
        role = "makes images" if model.kind == "image" else "leads the conversation"
        raise InvalidOptionError(
            f"{option}={quote(model_id)}: this model {role}; pass it as {other}={quote(model_id)}.",
            option,
            model_id,
            ("auto",),
        )
    if model.notice is not None:
        warn_caller(f"{option}={model.notice}", ModelDeprecationWarning)


def _check_against(image: ModelInfo, options: GenerateOptions) -> None:
    _check_member("quality", options.quality, image.qualities, image)
    _check_member("output_format", options.output_format, image.formats, image)
    _check_member("background", options.background, image.backgrounds, image)
    if options.input_fidelity is not None and options.input_fidelity not in image.fidelities:
        raise InvalidOptionError(
            f"input_fidelity={options.input_fidelity!r} is not taken by {image.id}, "
            + (f"only {_join(image.fidelities)}." if image.fidelities else "leave it out."),
            "input_fidelity",
            options.input_fidelity,
            image.fidelities,
        )
    _check_size(options, image)


def _check_member(option: str, value: str, allowed: tuple[str, ...], image: ModelInfo) -> None:
    if value == "auto" or value in allowed:
        return
    near = tuple(difflib.get_close_matches(value, allowed, n=1)) or allowed[-1:]
    raise InvalidOptionError(
        f"{option}={quote(value)} is not taken by {image.id}; it takes {_join(allowed)}. "
        f"Nearest: {near[0]!r}.",
        option,
        value,
        near,
    )


def _check_size(options: GenerateOptions, image: ModelInfo) -> None:
    size = parse_size(options.size)
    if size is None or is_supported(image.sizes, *size):
        return
    nearest = nearest_sizes(image.sizes, *size)
    raise InvalidOptionError(
        f"size={quote(options.size)} is not taken by {image.id}: {_describe(image.sizes)}. "
        f"Nearest: {' or '.join(nearest)}.",
        "size",
        options.size,
        nearest,
    )


def _check_format(options: GenerateOptions, partial_images: int, *, masked: bool) -> None:
    # https://developers.openai.com/api/reference/resources/responses, tool `image_generation`:
    # background, output_compression, output_format, frame_count.
    rules = (
        ("output_compression", options.output_compression, ("jpeg", "webp")),
        ("frames", options.frames, ("gif",)),
        ("frame_ms", options.frame_ms, ("gif",)),
        ("svg_model", options.svg_model, ("svg",)),
        ("partial_images", partial_images or None, ("png", "jpeg", "webp")),
        ("mask", masked or None, ("png", "jpeg", "webp")),
        (
            "background",
            options.background if options.background == "transparent" else None,
            ("png", "webp"),
        ),
    )
    for option, value, formats in rules:
        if value is not None and options.output_format not in formats:
            raise InvalidOptionError(
                f"{option}={quote(value)} does not go with "
                f"output_format={options.output_format!r}, only with {_join(formats)}.",
                option,
                value,
                formats,
            )


def _describe(rule: SizeRule) -> str:
    if rule.fixed:
        return "it takes " + ", ".join(f"{width}x{height}" for width, height in rule.fixed)
    return (
        f"both edges must be multiples of {rule.multiple} and at most {rule.max_edge} pixels, the "
        f"ratio at most {rule.max_ratio:g}:1, and the whole {rule.min_pixels:,} to "
        f"{rule.max_pixels:,} pixels"
    )


def _join(values: Iterable[str]) -> str:
    return ", ".join(repr(value) for value in values)

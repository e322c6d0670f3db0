"""
Words of other image APIs, of people and of earlier versions: what they mean here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from imagesession.errors import InvalidOptionError

from .wording import quote

# Values that can only mean one thing.
SAME_VALUES: Mapping[str, Mapping[str, str]] = {
    "quality": {"hd": "high"},
    "output_format": {"jpg": "jpeg"},
}
SHAPES = {
    "square": "1:1",
    "landscape": "3:2",
    "portrait": "2:3",
    "wide": "16:9",
    "widescreen": "16:9",
    "tall": "9:16",
    "vertical": "9:16",
}
# The options whose values are words, and not names.
_WORDS = frozenset(
    {"quality", "background", "output_format", "input_fidelity", "moderation", "complexity"}
)
# What other values probably mean; the caller has to say it.
_NEAREST: Mapping[str, Mapping[str, str]] = {
    "quality": {"standard": "medium", "normal": "medium", "best": "max"},
    "background": {"white": "opaque", "black": "opaque", "none": "transparent"},
    "moderation": {"none": "low", "off": "low", "high": "auto"},
    "output_format": {"tiff": "png", "bmp": "png", "pdf": "png", "avif": "webp"},
}
# Less alike than this, a hint would mislead.
_ALIKE = 0.75
# A longer list of names would fill the message.
_MAX_LISTED = 8

_SEVERAL = "variations(prompt, n=4) makes several images of one prompt, studio.map([…]) many."
_SAVE = (
    'image.save("name.png") saves a copy under any name; Studio(filename="{slug}_{n:02}") names '
    "the library's files."
)
_LIBRARY = "The folder is that of the studio: Studio(library=…)."
_STUDIO = "Give it to the studio: Studio(api_key=…, base_url=…)."
_INPUT = "edit(prompt, image=…) changes an image, and references=[…] are images to go by."
_SAMPLING = "OpenAI's models have no such setting; quality= is how much effort they make."
_SIZE = 'Write size="16:9", size="landscape" or size="1536x864".'
_PROMPT = "Say it in the prompt."
_SESSION = "studio.open(name) opens a session, whose generate(prompt) continues it."
_STREAM = "stream(prompt, partial_images=2) yields partial images while one is made."
_TIMEOUT = "Studio(timeout=…, retry_timeout=…) limits how long a call takes."
REMEDIES: Mapping[str, str] = {
    **dict.fromkeys(
        ("n", "num_images", "num_outputs", "number_of_images", "batch_size", "batch_count"),
        _SEVERAL,
    ),
    "seed": "The API has no seed. idempotency_key=… returns the same image again, and "
    "image.refine(prompt) continues it.",
    **dict.fromkeys(("style", "negative_prompt", "negative", "system", "instructions"), _PROMPT),
    "response_format": "Each image is a file with image.path, image.bytes and image.to_base64().",
    "user": "Write safety_identifier=….",
    **dict.fromkeys(("filename", "file", "path", "save_to", "output", "output_path"), _SAVE),
    **dict.fromkeys(("output_dir", "output_folder", "folder", "directory", "out_dir"), _LIBRARY),
    "library": _LIBRARY,
    **dict.fromkeys(("api_key", "key", "token", "base_url", "endpoint", "organization"), _STUDIO),
    **dict.fromkeys(("offline", "mock", "dry_run", "test"), "Studio.offline() draws sketches."),
    **dict.fromkeys(("transparent", "transparency"), 'Write background="transparent".'),
    **dict.fromkeys(("messages", "input", "contents", "text"), "Write generate(prompt)."),
    **dict.fromkeys(("callback", "hook", "verbose"), "Write on_progress=…."),
    "budget": "The budget is that of the studio: Studio(budget=Budget(per_day=5.0)).",
    **dict.fromkeys(("image", "images", "init_image", "input_image", "input_images"), _INPUT),
    **dict.fromkeys(
        ("steps", "num_inference_steps", "guidance_scale", "cfg_scale", "strength", "sampler",
         "temperature"), _SAMPLING,
    ),
    **dict.fromkeys(("width", "height", "ratio", "aspect", "dimensions", "resolution"), _SIZE),
    **dict.fromkeys(("stream", "partial_images"), _STREAM),
    **dict.fromkeys(("session", "session_id", "conversation"), _SESSION),
    "name": "Sessions have names: studio.session(description, name=…). " + _SAVE,
    "action": "generate(prompt) makes an image, edit(prompt, image=…) changes one.",
    "mask": "edit(prompt, image=…, mask=…) changes a part of an image.",
    **dict.fromkeys(("patience", "max_retries", "retries"), _TIMEOUT),
    "references": "generate(prompt, references=[…]) takes them, and ImageRequest(prompt, "
    "references=[…]) for one of many.",
    "format": "Write output_format=….",
    "compression": "Write output_compression=….",
    "fidelity": "Write input_fidelity=….",
    "fit": "Write resize_mask=….",
    "keep_outside": "Write preserve_unmasked=….",
    "intent_id": "Write idempotency_key=….",
}  # fmt: skip


def translate(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    Return options with `aspect_ratio` as a size.
    """
    if "aspect_ratio" not in options:
        return options
    others = {name: value for name, value in options.items() if name != "aspect_ratio"}
    if others.get("size") not in {None, "auto"}:
        raise InvalidOptionError(
            "size= and aspect_ratio= say the same. Leave one of them out.",
            "aspect_ratio",
            options["aspect_ratio"],
        )
    return {**others, "size": options["aspect_ratio"]}


def to_value(option: str, value: object) -> object:
    if not isinstance(value, str) or option not in _WORDS:
        return value
    word = value.strip().lower()
    return SAME_VALUES.get(option, {}).get(word, word)


def nearest_values(option: str, value: object, choices: tuple[str, ...]) -> list[str]:
    meant = _NEAREST.get(option, {}).get(str(value))
    if meant is not None and meant in choices:
        return [meant]
    return difflib.get_close_matches(str(value)[:40], choices, n=2, cutoff=0.5)


def unknown_option(name: str, value: object, known: Iterable[str]) -> InvalidOptionError:
    names = tuple(known)
    word = name[:40].lower()
    near = difflib.get_close_matches(word, names, n=1, cutoff=_ALIKE)
    foreign = difflib.get_close_matches(word, REMEDIES, n=1, cutoff=_ALIKE)
    if name in REMEDIES:
        hint = REMEDIES[name]
    elif near:
        hint = f"Did you mean {near[0]!r}?"
    elif foreign:
        hint = REMEDIES[foreign[0]]
    elif len(names) <= _MAX_LISTED:
        hint = f"The options are: {', '.join(names)}."
    else:
        hint = "help() of the method lists its options, and imagesession.guide() explains them."
    return InvalidOptionError(f"There is no option {quote(name)}. {hint}", name, value, tuple(near))

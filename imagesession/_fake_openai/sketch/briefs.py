"""
Read the brief of a prompt: the preset, its subject, and the number of a take.

A preset wraps a description into sentences on view, light and finish. They are known word for word
and removed here: read as the user's own words, a "softbox from the upper left" would move the
subject to the left.
"""

import functools
import re
from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

import attrs

from imagesession._domain.preset import Preset, load_presets

Kind: TypeAlias = Literal["product", "icon", "illustration", "background", "hero", "button"]

READ = 3000  # characters of a prompt that are read for words; all of it feeds the seed
_SLOT = re.compile(r"\{\w+\}")
_TAKE = re.compile(
    r"\s*This is take (\d{1,3}) of \d{1,3}: keep to all of the above, and differ from the other "
    r"takes in what it leaves open\.?"
)
_VARIATION = re.compile(
    r"Make a variation of this picture: the same subject and style, newly composed\.?\s*"
)


@attrs.frozen(kw_only=True)
class Brief:
    text: str  # the user's words, without the sentences of presets and takes
    subject: str  # the description in a preset; the whole text without a preset
    kind: Kind | None = None  # the kind of image that a preset frames, if there is one
    # The preset's parameters.
    choices: Mapping[str, str] = attrs.field(factory=dict[str, str], hash=False)
    take: int = 0  # the number of the take, from 1; 0 if there is only one
    varies: bool = False  # whether it is a variation of the current image

    @property
    def words(self) -> str:
        """The user's words in small letters, as far as they are read."""
        return self.text[:READ].lower().replace("\ufe0f", "")

    @property
    def clear(self) -> bool:
        return self.choices.get("background_type") == "transparent"

    @property
    def shape(self) -> str:
        return {"": "", "product": "", "icon": "square"}.get(self.kind or "", "wide")


@functools.lru_cache(maxsize=128)
def read_brief(prompt: str) -> Brief:
    found = _TAKE.search(prompt)
    whole = _TAKE.sub("", prompt)
    rest = _VARIATION.sub("", whole)
    frames = (_read_frame(load_presets()[name], rest) for name in ("product", "ui_asset"))
    read = next(filter(None, frames), Brief(text=rest, subject=rest))
    return attrs.evolve(read, take=int(found[1]) if found else 0, varies=rest != whole)


def _read_frame(preset: Preset, prompt: str) -> Brief | None:
    # The fixed text of the template: the words before the description, and whole lines.
    opening = _SLOT.split(preset.template, maxsplit=1)[0].lstrip()
    fixed = [line.strip() for line in preset.template.splitlines() if not _SLOT.search(line)]
    start = prompt.find(opening)
    chosen = {
        name: (choice, words.prompt_text)
        for name, field in preset.fields.items()
        for choice, words in field.choices.items()
        if words.prompt_text and words.prompt_text in prompt
    }
    if start < 0 or not chosen:
        return None
    sentences = [words for _, words in chosen.values()]
    sentences += [line for line in fixed if line and line in prompt]
    begin = start + len(opening)
    end = min((at for words in sentences if (at := prompt.find(words, begin)) >= 0), default=begin)
    subject = prompt[begin:end].strip().removesuffix(".")
    around = prompt[:start] + prompt[end:]
    for words in sentences:
        around = around.replace(words, "")
    choices = {name: choice for name, (choice, _) in chosen.items()}
    text = ".\n".join(part for part in (subject, " ".join(around.split())) if part)
    kind = cast("Kind", choices.get("asset_type", "product"))
    return Brief(text=text, subject=subject, kind=kind, choices=choices)

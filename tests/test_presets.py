"""
The preset registry: built-in presets, registered ones, and the images that they make.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from imagesession import presets
from imagesession._fake_openai.sketch.prompt import parse_prompts
from imagesession.errors import InvalidOptionError, InvalidRequestError

MINE = presets.Preset(name="mine", template="Mine: {description}.")


@pytest.fixture(autouse=True)
def _packed_again() -> Iterator[None]:
    yield
    presets.reset()


def test_registered_preset_is_available() -> None:
    """
    A registered preset is available by name, listed after the built-in ones, until the registry is
    reset.
    """
    assert presets.register(MINE) is MINE
    assert presets.get("mine") is MINE
    assert presets.names() == ("product", "ui_asset", "mine")
    assert {"mine", "product", "register"} <= set(dir(presets))
    presets.reset()
    assert presets.names() == ("product", "ui_asset")


def test_registered_preset_replaces_one_of_its_name() -> None:
    """
    `presets.product` is the preset that was registered last under that name.
    """
    packed = presets.product
    mine = presets.register(packed.extended(background_type={"marble": "It stands on marble."}))
    assert presets.product is mine
    assert presets.get("product") is mine
    assert presets.names() == ("product", "ui_asset")
    presets.reset()
    assert presets.product is packed


def test_unknown_preset_is_refused() -> None:
    """
    The error for an unknown preset has the nearest name and the list.
    """
    with pytest.raises(
        InvalidOptionError, match=r"Did you mean 'product'.*product, ui_asset"
    ) as caught:
        presets.get("produkt")
    assert (caught.value.option, caught.value.nearest) == ("preset", ("product",))
    with pytest.raises(AttributeError, match="no attribute 'produkt'"):
        presets.produkt  # noqa: B018 - asking for it is the point


def test_only_presets_can_be_registered() -> None:
    """
    Anything else is refused when it is registered, not when it is used.
    """
    wrong: Any = {"name": "mine"}
    with pytest.raises(InvalidRequestError, match="takes a Preset"):
        presets.register(wrong)


def test_concurrent_registrations_are_all_kept(
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    Threads that register at the same time do not overwrite each other's presets.
    """
    many = [presets.Preset(name=f"p{n}", template="{description}") for n in range(200)]

    def register_all(some: list[presets.Preset]) -> None:
        for preset in some:
            presets.register(preset)

    in_threads([partial(register_all, many[start::8]) for start in range(8)])
    assert set(presets.names()) == {"product", "ui_asset", *(preset.name for preset in many)}


def test_code_in_the_module_docstring_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Every code block in the module's docstring runs, one after the other.
    """
    blocks = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", presets.__doc__ or "", re.MULTILINE)
    space: dict[str, Any] = {}
    for block in blocks:
        exec(compile(textwrap.dedent(block), "docstring", "exec"), space)  # noqa: S102 - our own code
    assert len(blocks) == 3
    assert "directly overhead" in capsys.readouterr().out
    assert presets.names() == ("product", "ui_asset", "portrait")
    assert "marble" in presets.product.choices["background_type"]


def test_presets_are_light_to_load() -> None:
    """
    Rendering a prompt imports neither openai nor Pillow.
    """
    script = (
        "import sys\n"
        "from imagesession import presets\n"
        "presets.product.render_prompt('a mug')\n"
        "heavy = {'openai', 'PIL', 'sqlite3', 'httpx2', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", ["product", "ui_asset"])
def test_template_adds_no_subject(name: str) -> None:
    """
    The sketcher recognises only the subject of the description in a prompt, and a button if one was
    chosen.
    """
    preset = presets.get(name)
    for parameter, choices in preset.choices.items():
        for choice in choices:
            plan = parse_prompts((preset.render_prompt("a zorblax", **{parameter: choice}),))
            expected = ["button"] if choice == "button" else []
            assert [planned.name for planned in plan.items] == expected, choice
            assert not plan.lettering


@pytest.mark.parametrize(
    "name,choices,size,clear",
    [
        ("product", {"background_type": "transparent"}, (1024, 1024), True),
        ("product", {"angle": "45deg"}, (1024, 1024), False),
        ("ui_asset", {"asset_type": "icon", "size_preset": "small"}, (832, 832), True),
        ("ui_asset", {"asset_type": "hero"}, (1536, 864), False),
    ],
)
def test_images_have_the_options_of_the_preset(
    studio: Any, name: str, choices: dict[str, str], size: tuple[int, int], *, clear: bool
) -> None:
    """
    The image has the chosen size, and is transparent if that was chosen.
    """
    preset = presets.get(name)
    options = preset.options_for(**choices)
    image = studio.generate(preset.render_prompt("a blue mug", **choices), **options)
    with image.open() as picture:
        assert picture.size == size
        corner = picture.convert("RGBA").getpixel((1, 1))
    assert (corner[3] == 0) == clear


@pytest.mark.drawn
def test_white_background_is_white(studio: Any) -> None:
    """
    A product's default background is white up to the edges.
    """
    with studio.generate(presets.product.render_prompt("a blue mug")).open() as picture:
        assert min(picture.convert("RGB").getpixel((3, 3))) >= 250

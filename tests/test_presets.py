"""
The presets in use: the packed ones, those that are registered, and what they draw.
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


def test_what_is_registered_is_in_use() -> None:
    """
    A registered preset is found by its name, after the packed ones, until all is reset.
    """
    assert presets.register(MINE) is MINE
    assert presets.get("mine") is MINE
    assert presets.names() == ("product", "ui_asset", "mine")
    assert {"mine", "product", "register"} <= set(dir(presets))
    presets.reset()
    assert presets.names() == ("product", "ui_asset")


def test_a_preset_takes_the_place_of_one_of_its_name() -> None:
    """
    `presets.product` is the one that was registered last under that name.
    """
    packed = presets.product
    mine = presets.register(packed.extended(background_type={"marble": "It stands on marble."}))
    assert presets.product is mine
    assert presets.get("product") is mine
    assert presets.names() == ("product", "ui_asset")
    presets.reset()
    assert presets.product is packed


def test_an_unknown_preset_is_refused() -> None:
    """
    A preset that is not there is refused with the nearest one and the list.
    """
    with pytest.raises(
        InvalidOptionError, match=r"Did you mean 'product'.*product, ui_asset"
    ) as caught:
        presets.get("produkt")
    assert (caught.value.option, caught.value.nearest) == ("preset", ("product",))
    with pytest.raises(AttributeError, match="no attribute 'produkt'"):
        presets.produkt  # noqa: B018 - asking for it is the point


def test_only_presets_are_registered() -> None:
    """
    What is no preset is refused at once, not when it is used.
    """
    wrong: Any = {"name": "mine"}
    with pytest.raises(InvalidRequestError, match="takes a Preset"):
        presets.register(wrong)


def test_registering_at_once_loses_none(
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    Threads that register at the same time do not undo each other's work.
    """
    many = [presets.Preset(name=f"p{n}", template="{description}") for n in range(200)]

    def register_all(some: list[presets.Preset]) -> None:
        for preset in some:
            presets.register(preset)

    in_threads([partial(register_all, many[start::8]) for start in range(8)])
    assert set(presets.names()) == {"product", "ui_asset", *(item.name for item in many)}


def test_what_the_module_shows_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Every block of code in the module's docstring runs, one after the other.
    """
    blocks = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", presets.__doc__ or "", re.MULTILINE)
    space: dict[str, Any] = {}
    for block in blocks:
        exec(compile(textwrap.dedent(block), "docstring", "exec"), space)  # noqa: S102 - our own code
    assert len(blocks) == 3
    assert "directly overhead" in capsys.readouterr().out
    assert presets.names() == ("product", "ui_asset", "portrait")
    assert "marble" in presets.product.choices["background_type"]


def test_presets_are_light() -> None:
    """
    Previewing a prompt loads neither openai nor Pillow.
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
def test_the_frame_names_no_subject_of_its_own(name: str) -> None:
    """
    The painter sees in a prompt what the description names, and a button where one was chosen.
    """
    preset = presets.get(name)
    for parameter, choices in preset.choices.items():
        for choice in choices:
            plan = parse_prompts((preset.render_prompt("a zorblax", **{parameter: choice}),))
            expected = ["button"] if choice == "button" else []
            assert [item.name for item in plan.items] == expected, choice
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
def test_pictures_come_as_a_preset_asks(
    studio: Any, name: str, choices: dict[str, str], size: tuple[int, int], *, clear: bool
) -> None:
    """
    What is drawn has the size that was wanted, and is see-through where that was chosen.
    """
    preset = presets.get(name)
    asked = preset.options_for(**choices)
    image = studio.generate(preset.render_prompt("a blue mug", **choices), **asked)
    with image.open() as picture:
        assert picture.size == size
        corner = picture.convert("RGBA").getpixel((1, 1))
    assert (corner[3] == 0) == clear


def test_a_white_background_is_white(studio: Any) -> None:
    """
    A product's default background is white to the edges.
    """
    with studio.generate(presets.product.render_prompt("a blue mug")).open() as picture:
        assert min(picture.convert("RGB").getpixel((3, 3))) >= 250

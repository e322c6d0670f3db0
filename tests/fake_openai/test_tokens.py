"""
The offline provider bills what the catalogue says that pictures take.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.model_catalog import load_catalogue
from imagesession._fake_openai.image_tool import read_tool
from imagesession._fake_openai.json_reader import JsonNode
from imagesession._fake_openai.models_endpoint import all_models
from imagesession._fake_openai.tokens import drawn_tokens, picture_tokens, text_tokens

CATALOGUE = load_catalogue()
DRAWING = [
    (name, quality)
    for name, model in all_models().items()
    if model.kind == "image"
    for quality in (*model.qualities, "auto")
]


@pytest.mark.parametrize("name,quality", DRAWING)
def test_every_living_model_has_tokens_for_every_quality(name: str, quality: str) -> None:
    """
    Whatever may be asked of a model that is alive, the catalogue has a figure, of any shape.
    """
    asked = {"type": "image_generation", "model": name, "quality": quality}
    tool = read_tool(JsonNode(asked, "tools[0]"))
    for size in ((1024, 1024), (1536, 1024), (1024, 1536), (640, 480)):
        expected = CATALOGUE.output_tokens(name, tool.drawn_quality, size)
        assert drawn_tokens(tool, size, 0) == expected
        assert drawn_tokens(tool, size, 3) == drawn_tokens(tool, size, 0) + 300


@pytest.mark.parametrize(
    "size,tokens", [((128, 128), 64), ((1024, 1024), 1024), ((3840, 2160), 1536), ((1, 1), 64)]
)
def test_input_pictures_take_what_was_billed(size: tuple[int, int], tokens: int) -> None:
    """
    A small picture takes no fewer tokens than were billed for one, a large one no more.
    """
    assert picture_tokens(size) == tokens


@given(st.text())
def test_words_take_tokens(text: str) -> None:
    """
    Any words take some tokens, none take none.
    """
    assert (text_tokens(text) > 0) == bool(text)

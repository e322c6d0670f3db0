"""
The offline provider bills what the catalogue says that images take.
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
def test_every_model_has_tokens_for_every_quality(name: str, quality: str) -> None:
    """
    The catalogue has output tokens for every available model, quality and shape.
    """
    params = {"type": "image_generation", "model": name, "quality": quality}
    tool = read_tool(JsonNode(params, "tools[0]"))
    for size in ((1024, 1024), (1536, 1024), (1024, 1536), (640, 480)):
        expected = CATALOGUE.output_tokens(name, tool.drawn_quality, size)
        assert drawn_tokens(tool, size, 0) == expected
        assert drawn_tokens(tool, size, 3) == drawn_tokens(tool, size, 0) + 300


@pytest.mark.parametrize(
    "size,tokens", [((128, 128), 64), ((1024, 1024), 1024), ((3840, 2160), 1536), ((1, 1), 64)]
)
def test_input_image_tokens(size: tuple[int, int], tokens: int) -> None:
    """
    A small image has at least the tokens that were billed for one, a large image at most those.
    """
    assert picture_tokens(size) == tokens


@given(st.text())
def test_text_tokens(text: str) -> None:
    """
    Any text has some tokens, and an empty one has none.
    """
    assert (text_tokens(text) > 0) == bool(text)

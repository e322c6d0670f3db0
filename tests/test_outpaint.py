"""
An image is extended beyond its edges: the canvas and its mask are made here.
"""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from imagesession.errors import InvalidImageError, InvalidOptionError
from imagesession.testing import FakeOpenAI
from tests.imaging.making import corners, decoded, encoded, srgb
from tests.sent import asked, mask_of, shown

PROFILE = srgb()
PHOTO = encoded(corners((1024, 1024)), icc_profile=PROFILE)


@pytest.mark.parametrize(
    "options,size,box",
    [
        ({"to": "16:9", "anchor": "center"}, (1824, 1024), (400, 0, 1424, 1024)),
        ({"to": "9:16", "anchor": "bottom"}, (1024, 1824), (0, 800, 1024, 1824)),
        ({"to": (2048, 2048), "anchor": "top-right"}, (2048, 2048), (1024, 0, 2048, 1024)),
    ],
)
def test_image_is_extended(
    studio: Any, provider: FakeOpenAI, options: Any, size: tuple[int, int], box: Any
) -> None:
    """
    The canvas has the requested shape, the image lies where it is anchored, the mask opens the
    rest, and what the image shows is kept exactly but for a narrow edge.
    """
    image = studio.outpaint(PHOTO, **options)
    assert (image.size, image.turn.options.size) == (size, f"{size[0]}x{size[1]}")
    body = asked(provider)[-1]
    canvas, mask = decoded(shown(provider, body)[0]), decoded(mask_of(provider, body))
    photo = decoded(PHOTO)
    assert (canvas.size, canvas.info["icc_profile"]) == (size, PROFILE)
    assert canvas.crop(box).tobytes() == photo.tobytes()
    opened = mask.getchannel("A")
    middle = (box[0] + 100, box[1] + 100, box[2] - 100, box[3] - 100)
    assert opened.crop(middle).getextrema() == (255, 255)
    covered = (box[2] - box[0]) * (box[3] - box[1]) / (size[0] * size[1])
    assert image.turn.mask_coverage == pytest.approx(1 - covered, abs=0.05)
    kept = decoded(image.bytes).convert("RGB").crop(middle)
    assert kept.tobytes() == photo.crop((100, 100, 924, 924)).tobytes()


def test_session_extends_its_last_image(studio: Any, provider: FakeOpenAI) -> None:
    """
    On a session the last image is extended, which stays its parent, with the caller's own words.
    """
    session = studio.session("tea")
    first = session.generate("a teapot", size="1024x1024")
    wide = session.outpaint(to="3:2", anchor="right", prompt="a window on the left")
    assert (wide.size, wide.turn.parents, wide.prompt) == (
        (1536, 1024), (first.id,), "a window on the left",
    )  # fmt: skip
    assert asked(provider)[-1]["tools"][0]["action"] == "edit"
    assert session.generate("bluer").parent == wide.turn.id
    alone = studio.outpaint(first, to="3:2")
    assert alone.turn.parents == (first.id,)
    assert "Continue the picture" in alone.prompt


@pytest.mark.filterwarnings("ignore::imagesession.errors.ModelDeprecationWarning")
@pytest.mark.parametrize(
    "model,edge,shape,size",
    [
        ("gpt-image-1.5", 1600, "3:2", (1536, 1024)),
        pytest.param("gpt-image-2", 4000, "16:9", (3840, 2160), marks=pytest.mark.faults),
    ],
)
def test_large_image_is_made_smaller(
    studio: Any, model: str, edge: int, shape: str, size: tuple[int, int]
) -> None:
    """
    An image that is larger than any canvas of the model is made smaller to fit.
    """
    large = encoded(Image.new("RGB", (edge, edge), "red"))
    assert studio.outpaint(large, to=shape, image_model=model).size == size


@pytest.mark.parametrize(
    "options,error,message",
    [
        ({"to": "1:1"}, InvalidImageError, "leaves nothing to add"),
        ({"to": "auto"}, InvalidOptionError, "names no shape"),
        ({"to": "wider"}, InvalidOptionError, "is not a size"),
        ({"to": "20:1"}, InvalidOptionError, "Nearest"),
        ({"to": "1500x1000"}, InvalidOptionError, "Nearest"),
        ({"to": "16:9", "anchor": "north"}, InvalidOptionError, "'top'"),
    ],
)
def test_wrong_shape_is_refused(
    studio: Any, provider: FakeOpenAI, options: Any, error: type[Exception], message: str
) -> None:
    """
    A shape that adds nothing, or that the model does not make, is refused before anything is sent.
    """
    with pytest.raises(error, match=message):
        studio.outpaint(PHOTO, **options)
    with pytest.raises(InvalidImageError, match="no image to extend"):
        studio.outpaint(to="16:9")
    assert not provider.requests

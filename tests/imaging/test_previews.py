"""
Pictures made small enough to be shown where a whole one is too large.
"""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagesession._imaging.thumbnails import preview
from imagesession.testing import FakeOpenAI, tiny_image
from tests.conftest import MakeStudio


def noise(size: tuple[int, int], mode: str = "RGB", format: str = "PNG") -> bytes:
    """
    Make a picture that no encoder makes small.
    """
    picture = Image.effect_noise(size, 120).convert("RGB")
    if mode == "RGBA":
        picture.putalpha(128)
    buffer = io.BytesIO()
    picture.save(buffer, format)
    return buffer.getvalue()


@settings(max_examples=settings().max_examples // 4, deadline=None)
@given(
    width=st.integers(1, 900),
    height=st.integers(1, 900),
    side=st.integers(16, 800),
    most=st.integers(200, 90_000),
    mode=st.sampled_from(("RGB", "RGBA")),
)
def test_previews_are_as_small_as_they_are_to_be(
    width: int, height: int, side: int, most: int, mode: str
) -> None:
    """
    Whatever the picture, its preview has at most so many pixels and bytes, and is whole.
    """
    small = preview(noise((width, height), mode), "It", max_side=side, max_bytes=most)
    if small is None:
        assert most < 2_000
        return
    assert len(small.data) <= most
    shown = Image.open(io.BytesIO(small.data))
    shown.load()
    assert shown.size == (small.width, small.height)
    assert max(shown.size) <= side
    assert f"image/{(shown.format or '').lower()}" == small.mime_type


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_what_is_small_stays_as_it_is(format: str) -> None:
    """
    A picture that is small enough is its own preview, to the byte.
    """
    data = tiny_image(format)
    small = preview(data, "It", max_side=64, max_bytes=len(data))
    assert small is not None
    assert small.data == data


def test_transparency_is_kept_and_photos_are_jpegs() -> None:
    """
    Transparent pixels stay transparent; what has none is a JPEG.
    """
    clear = preview(noise((300, 200), "RGBA"), "It", max_side=100, max_bytes=50_000)
    opaque = preview(noise((300, 200)), "It", max_side=100, max_bytes=50_000)
    assert clear is not None
    assert opaque is not None
    assert (clear.format, opaque.format) == ("webp", "jpeg")
    assert Image.open(io.BytesIO(clear.data)).mode == "RGBA"
    assert (clear.width, clear.height) == (100, 67)


def test_a_gif_is_shown_by_its_first_frame() -> None:
    """
    What moves stands still in its preview.
    """
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    small = preview(buffer.getvalue(), "It", max_side=40, max_bytes=9_000)
    assert small is not None
    red, _, blue = Image.open(io.BytesIO(small.data)).convert("RGB").getpixel((20, 20))  # type: ignore[misc] # pyright: ignore[reportGeneralTypeIssues] - a pixel of RGB
    assert red > 200
    assert blue < 60


def test_kept_pictures_have_previews(make_studio: MakeStudio) -> None:
    """
    A kept picture gives its preview; an SVG gives one of what it draws.
    """
    with make_studio() as studio:
        image = studio.generate("a fox")
        small = image.preview(max_side=128)
        assert (small.width, small.height, small.mime_type) == (128, 128, "image/jpeg")
        assert image.mime_type == "image/png"
        drawing = studio.generate("a fox", output_format="svg").preview(max_side=128)
        assert (drawing.width, drawing.height) == (128, 128)


def test_pictures_are_found_by_the_callers_own_names(make_studio: MakeStudio) -> None:
    """
    What was made under a name is found by it: single pictures, streams, takes and improvements.
    """
    provider = FakeOpenAI()
    with make_studio(provider=provider) as studio:
        assert studio.images.find(idempotency_key="a") is None
        item = studio.generate("a fox", idempotency_key="a")
        assert studio.images.find(idempotency_key="a") == item
        *_, streamed = studio.stream("a hare", idempotency_key="b")
        assert studio.images.find(idempotency_key="b") == streamed
        studio.variations("a hen", n=2, idempotency_key="c")
        studio.product("mug", n=2, idempotency_key="d")
        studio.ui_asset("icon", "home", idempotency_key="e")
        better = studio.improve("brighter", image=item, idempotency_key="f")
        for name in ("c/1", "c/2", "d/1", "d/2", "e", "f"):
            assert studio.images.find(idempotency_key=name) is not None, name
        before = len(provider.requests)
        again = studio.improve("brighter", image=item, idempotency_key="f")
        *_, reported = studio.stream("a hare", idempotency_key="b")
        studio.product("mug", n=2, idempotency_key="d")
        studio.variations("a hen", n=2, idempotency_key="c")
        assert reported == streamed
        assert again.image == better.image
        assert again.analysis.findings == better.analysis.findings
        assert again.analysis.summary == better.analysis.summary
        drawn = [call for call in provider.requests[before:] if call.path == "/responses"]
        assert drawn == []


def test_connecting_sends_nothing(make_studio: MakeStudio) -> None:
    """
    Making ready what talks to the provider asks it nothing.
    """
    provider = FakeOpenAI()
    with make_studio(provider=provider) as studio:
        studio._connect()  # noqa: SLF001 - what a server does before its first call
        assert provider.requests == ()

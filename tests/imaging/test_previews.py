"""
Previews: images small enough for places where a full one is too large.
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
    Make an image that compresses badly.
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
    max_bytes=st.integers(200, 90_000),
    mode=st.sampled_from(("RGB", "RGBA")),
)
def test_preview_respects_its_limits(
    width: int, height: int, side: int, max_bytes: int, mode: str
) -> None:
    """
    A preview of any image respects the limits on pixels and bytes, and can be decoded.
    """
    small = preview(noise((width, height), mode), "It", max_side=side, max_bytes=max_bytes)
    if small is None:
        assert max_bytes < 2_000
        return
    assert len(small.data) <= max_bytes
    image_of_preview = Image.open(io.BytesIO(small.data))
    image_of_preview.load()
    assert image_of_preview.size == (small.width, small.height)
    assert max(image_of_preview.size) <= side
    assert f"image/{(image_of_preview.format or '').lower()}" == small.mime_type


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_small_image_is_its_own_preview(format: str) -> None:
    """
    An image that is small enough is returned unchanged.
    """
    data = tiny_image(format)
    small = preview(data, "It", max_side=64, max_bytes=len(data))
    assert small is not None
    assert small.data == data


def test_transparent_preview_is_webp_and_opaque_is_jpeg() -> None:
    """
    Transparent pixels stay transparent in a WebP; an opaque preview is a JPEG.
    """
    clear = preview(noise((300, 200), "RGBA"), "It", max_side=100, max_bytes=50_000)
    opaque = preview(noise((300, 200)), "It", max_side=100, max_bytes=50_000)
    assert clear is not None
    assert opaque is not None
    assert (clear.format, opaque.format) == ("webp", "jpeg")
    assert Image.open(io.BytesIO(clear.data)).mode == "RGBA"
    assert (clear.width, clear.height) == (100, 67)


def test_preview_of_a_gif_is_its_first_frame() -> None:
    """
    The preview of an animation is a still image.
    """
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    small = preview(buffer.getvalue(), "It", max_side=40, max_bytes=9_000)
    assert small is not None
    red, _, blue = Image.open(io.BytesIO(small.data)).convert("RGB").getpixel((20, 20))  # type: ignore[misc] # pyright: ignore[reportGeneralTypeIssues] - a pixel of RGB
    assert red > 200
    assert blue < 60


def test_saved_images_have_previews(make_studio: MakeStudio) -> None:
    """
    A saved image has a preview, and so has an SVG.
    """
    with make_studio() as studio:
        image = studio.generate("a fox")
        small = image.preview(max_side=128)
        assert (small.width, small.height, small.mime_type) == (128, 128, "image/jpeg")
        assert image.mime_type == "image/png"
        drawing = studio.generate("a fox", output_format="svg").preview(max_side=128)
        assert (drawing.width, drawing.height) == (128, 128)


def test_images_are_found_by_idempotency_key(make_studio: MakeStudio) -> None:
    """
    Images are found by their key: standalone, streamed, variations and improvements.
    """
    provider = FakeOpenAI()
    with make_studio(provider=provider) as studio:
        assert studio.images.find(idempotency_key="a") is None
        first = studio.generate("a fox", idempotency_key="a")
        assert studio.images.find(idempotency_key="a") == first
        *_, streamed = studio.stream("a hare", idempotency_key="b")
        assert studio.images.find(idempotency_key="b") == streamed
        studio.variations("a hen", n=2, idempotency_key="c")
        studio.product("mug", n=2, idempotency_key="d")
        studio.ui_asset("icon", "home", idempotency_key="e")
        better = studio.improve("brighter", image=first, idempotency_key="f")
        for name in ("c/1", "c/2", "d/1", "d/2", "e", "f"):
            assert studio.images.find(idempotency_key=name) is not None, name
        before = len(provider.requests)
        again = studio.improve("brighter", image=first, idempotency_key="f")
        *_, replayed = studio.stream("a hare", idempotency_key="b")
        studio.product("mug", n=2, idempotency_key="d")
        studio.variations("a hen", n=2, idempotency_key="c")
        assert replayed == streamed
        assert again.image == better.image
        assert again.analysis.findings == better.analysis.findings
        assert again.analysis.summary == better.analysis.summary
        generations = [call for call in provider.requests[before:] if call.path == "/responses"]
        assert generations == []


def test_connecting_sends_nothing(make_studio: MakeStudio) -> None:
    """
    Creating the client sends no request to the provider.
    """
    provider = FakeOpenAI()
    with make_studio(provider=provider) as studio:
        studio._connect()  # noqa: SLF001 - what a server does before its first call
        assert provider.requests == ()

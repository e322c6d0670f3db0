"""
Text of any characters can be drawn on images, within its lines.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from imagesession._display import formatting, text_layout
from imagesession._display.text_layout import layout, wrap
from tests.strategies import texts


def rasterized(text: str, size: int = 24) -> bytes:
    """
    Draw a text and return the pixels.
    """
    drawable, font = layout(text, size)
    picture = Image.new("L", (400, 60))
    ImageDraw.Draw(picture).text((4, 4), drawable, fill=255, font=font)
    return picture.tobytes()


@settings(deadline=None, max_examples=60)
@given(texts, st.integers(20, 300), st.integers(1, 4))
def test_any_text_can_be_drawn(text: str, width: int, max_lines: int) -> None:
    """
    Any text can be drawn within the maximum number of lines, none wider than allowed unless a
    single character is.
    """
    drawable, font = layout(formatting.sanitize_text(text), 15)
    lines = wrap(drawable, font, width, max_lines)
    assert len(lines) <= max_lines
    pen = ImageDraw.Draw(Image.new("L", (400, 60)))
    for line in lines:
        pen.text((0, 0), line, font=font)
        assert font.getlength(line) <= width or len(line) <= 2


def test_lines_break_between_words_and_end_with_an_ellipsis() -> None:
    """
    Words stay whole if they fit; an ellipsis marks a cut.
    """
    drawable, font = layout("a fox in a forest of tall birches", 20)
    width = font.getlength("a fox in a")
    assert wrap(drawable, font, width, 9)[0] == "a fox in a"
    assert " ".join(wrap(drawable, font, width, 9)) == drawable
    assert wrap(drawable, font, width, 2)[-1].endswith("…")
    assert wrap("", font, width, 2) == ()
    assert "".join(wrap("x" * 90, font, width, 99)) == "x" * 90


@pytest.mark.parametrize("text", ["a fox", "1536×864 PNG · $0.03", "it\u2019s a fox"])
def test_plain_english_uses_the_bundled_font(text: str) -> None:
    """
    English and the library's own texts look the same on every machine.
    """
    _, font = layout(text, 20)
    _, plain = layout("abc", 20)
    assert font is plain


def test_accented_letters_are_not_boxes() -> None:
    """
    A letter that a font lacks is drawn in another font, or without its accent, not as a box.
    """
    box = rasterized("\uffff")
    assert rasterized("é") != box
    assert rasterized("ü") != rasterized("ö") or rasterized("ü") == rasterized("u")


def test_accents_are_dropped_without_system_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    On a machine without fonts, letters lose their accents, and other characters stay boxes.
    """
    monkeypatch.setattr(text_layout, "_SYSTEM_FONTS", ())
    assert layout("café", 20)[0] == "cafe"
    assert layout("茶", 20)[0] == "茶"

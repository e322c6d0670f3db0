"""
Text of any characters is set on pictures, within its lines.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from imagesession._display import formatting, text_layout
from imagesession._display.text_layout import layout, wrap
from tests.strategies import texts


def ink(text: str, size: int = 24) -> bytes:
    """
    Return what a text looks like.
    """
    worded, font = layout(text, size)
    picture = Image.new("L", (400, 60))
    ImageDraw.Draw(picture).text((4, 4), worded, fill=255, font=font)
    return picture.tobytes()


@settings(deadline=None, max_examples=60)
@given(texts, st.integers(20, 300), st.integers(1, 4))
def test_text_of_any_characters_is_set(text: str, width: int, most: int) -> None:
    """
    Whatever was written can be drawn, in no more lines than allowed, none of them wider than
    allowed unless a single letter is.
    """
    worded, font = layout(formatting.sanitize_text(text), 15)
    reported = wrap(worded, font, width, most)
    assert len(reported) <= most
    pen = ImageDraw.Draw(Image.new("L", (400, 60)))
    for line in reported:
        pen.text((0, 0), line, font=font)
        assert font.getlength(line) <= width or len(line) <= 2


def test_lines_break_between_words_and_say_that_there_is_more() -> None:
    """
    Words stay whole where they fit; what is left out is an ellipsis.
    """
    worded, font = layout("a fox in a forest of tall birches", 20)
    room = font.getlength("a fox in a")
    assert wrap(worded, font, room, 9)[0] == "a fox in a"
    assert " ".join(wrap(worded, font, room, 9)) == worded
    assert wrap(worded, font, room, 2)[-1].endswith("…")
    assert wrap("", font, room, 2) == ()
    assert "".join(wrap("x" * 90, font, room, 99)) == "x" * 90


@pytest.mark.parametrize("text", ["a fox", "1536×864 PNG · $0.03", "it\u2019s a fox"])
def test_plain_words_are_set_in_pillows_own_typeface(text: str) -> None:
    """
    English and our own words look the same on every machine.
    """
    _, font = layout(text, 20)
    _, plain = layout("abc", 20)
    assert font is plain


def test_accents_are_not_lost_to_boxes() -> None:
    """
    A letter that a typeface lacks is taken from another, or loses its accent; it is no box.
    """
    box = ink("\uffff")
    assert ink("é") != box
    assert ink("ü") != ink("ö") or ink("ü") == ink("u")


def test_where_no_typeface_has_it_accents_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    On a machine without typefaces, letters lose their accents, and what is left is a box.
    """
    monkeypatch.setattr(text_layout, "_SYSTEM", ())
    assert layout("café", 20)[0] == "cafe"
    assert layout("茶", 20)[0] == "茶"

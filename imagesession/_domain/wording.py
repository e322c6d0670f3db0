"""
Quote what others wrote in messages: arguments, and the words of a provider; and shorten lists.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

_LONGEST_QUOTE = 80
_LONGEST_SENTENCE = 500
_LONGEST_PATH = 400
_MAX_LISTED = 5
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_UNSEEN = re.compile(r"<(script|style|head)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-z!][^<>]*>", re.IGNORECASE)
_ENDS = (".", "!", "?", "…", "。", "！", "？")  # noqa: RUF001 - the full stops of other scripts


def quote(value: object) -> str:
    """
    Return an argument as messages repeat it: its `repr`, of which at most 80 characters are shown.
    """
    if isinstance(value, (str, bytes)):
        value = value[: _LONGEST_QUOTE + 1]
    return _shorten(" ".join(repr(value).split()), _LONGEST_QUOTE)


def show_path(path: object) -> str:
    """
    Return a path as messages name it: whole, unless it has more than 400 characters, as something
    else that was passed for a path may have; then its end, which says most.
    """
    text = " ".join(str(path).split())
    return text if len(text) <= _LONGEST_PATH else f"…{text[1 - _LONGEST_QUOTE :]}"


def list_some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED:,} more" if len(names) > _MAX_LISTED else ""
    return f"{', '.join(names[:_MAX_LISTED])}{more}"


def fold(text: str) -> str:
    """
    Return a text in a form that ignores case and Unicode composition: one name typed on two
    systems may be composed differently.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def to_sentence(text: str) -> str:
    """
    Return a provider's words as one sentence: without HTML and line breaks, with a full stop, and
    of at most 500 characters. A page of HTML is its title.
    """
    title = _TITLE.search(text)
    plain = title[1] if title else _TAG.sub(" ", _UNSEEN.sub(" ", text))
    line = _shorten(" ".join(html.unescape(plain).split()), _LONGEST_SENTENCE)
    return line if line.endswith(_ENDS) or not line else f"{line}."


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"

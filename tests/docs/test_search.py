"""
Who searches the documentation by a word of the field gets the right page.

The words are ranked as Sphinx's search does: titles count most, then headings, then text.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"
FIRST = 3
WORDS = {
    "agents": "agents",
    "API key": "installation",
    "architecture": "explanation/workflows",
    "async": "reference/async",
    "Azure": "howto/compatible-servers",
    "backoff": "howto/limits",
    "batch": "howto/batch",
    "branch": "howto/logo",
    "budget": "howto/budget",
    "delete": "howto/deleting",
    "deprecation": "stability",
    "environment variables": "reference/environment",
    "exception": "reference/errors",
    "FastAPI": "howto/web-app",
    "GIF": "howto/animated",
    "glossary": "explanation/terminology",
    "idempotency key": "howto/resume",
    "Jupyter": "howto/notebook",
    "limits": "reference/limits",
    "LiteLLM": "howto/compatible-servers",
    "logging": "howto/progress",
    "mask": "howto/inpainting",
    "MCP": "agents",
    "migrate": "howto/openai",
    "prices": "reference/pricing",
    "pytest": "howto/testing",
    "rate limit": "howto/limits",
    "retry": "howto/limits",
    "streaming": "tutorial",
    "timeout": "howto/limits",
    "transparent": "howto/transparent",
    "troubleshooting": "faq",
    "uv": "installation",
}


@functools.cache
def pages() -> dict[str, tuple[str, str, str]]:
    """
    Return each page's title, its other headings, and its text without code.
    """
    found: dict[str, tuple[str, str, str]] = {}
    for path in sorted(DOCS.rglob("*.md")):
        prose = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
        title, *headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE) or [path.stem]
        name = path.relative_to(DOCS).with_suffix("").as_posix()
        found[name] = title.lower(), "\n".join(headings).lower(), prose.lower()
    return found


def score(word: str, page: str) -> float:
    """
    Return how well a page answers a word.
    """
    pattern = rf"\b{re.escape(word.lower())}"
    title, headings, text = (re.findall(pattern, part) for part in pages()[page])
    return 15 * bool(title) + 5 * bool(headings) + min(len(text), 4)


@pytest.mark.parametrize("word", WORDS)
def test_search_finds_the_right_page(word: str) -> None:
    """
    The page about a word is among the first three that a search for it lists.
    """
    ranked = sorted(pages(), key=lambda page: -score(word, page))
    assert score(word, WORDS[word]) > 0
    assert WORDS[word] in ranked[:FIRST]

"""
The tables of words, subjects and light, read from `subjects/`.
"""

import tomllib
from importlib import resources
from typing import Any

READ = 3000  # characters of a prompt that are read for words; all of it feeds the seed
FOLDER = resources.files("imagesession._fake_openai.sketch") / "subjects"


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


SECTIONS: dict[str, dict[str, str]] = read("words")

"""
The table of words, read from `subjects/words.toml`.
"""

import tomllib
from importlib import resources

SECTIONS: dict[str, dict[str, str]] = tomllib.loads(
    (resources.files("imagesession._fake_openai.sketch") / "subjects" / "words.toml").read_text(
        "utf-8"
    )
)

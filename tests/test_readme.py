"""
The links of the README and its neighbours; tests/docs/test_documented_paths.py runs its code.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\(([^)]+)\)")


def test_links_exist() -> None:
    """
    Every relative link of the README and its neighbours is a file.
    """
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"):
        for link in LINK.findall((ROOT / page).read_text("utf-8")):
            file = ROOT / link.partition("#")[0]
            assert link.startswith("https://") or file.exists(), f"{page}: {link}"


def test_release_recipe_makes_links_absolute() -> None:
    """
    What the release recipe adds to the build makes every link of the README work on a package
    index, the image's too.
    """
    recipe = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    added = re.search(r"```toml\n(.+?)```", recipe, re.DOTALL)
    assert added
    hook = tomllib.loads(added[1])["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = (ROOT / "README.md").read_text("utf-8")
    for rule in hook["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    links = LINK.findall(text)
    assert [link for link in links if not link.startswith("https://")] == []
    assert [link for link in links if "/raw/" in link and not link.endswith(".webp")] == []
    assert sum("/raw/" in link for link in links) == 1

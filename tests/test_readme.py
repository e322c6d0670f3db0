"""
The links of the README and its neighbours; tests/docs/test_documented_paths.py runs its code.
"""

from __future__ import annotations

import re
from pathlib import Path


def test_links_exist() -> None:
    """
    Every relative link of the README and its neighbours is a file.
    """
    root = Path(__file__).parent.parent
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"):
        for link in re.findall(r"\]\(([^)]+)\)", (root / page).read_text("utf-8")):
            file = root / link.partition("#")[0]
            assert link.startswith("https://") or file.exists(), f"{page}: {link}"

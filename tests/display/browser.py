"""
A real browser for the tests of pages: Chromium without a window, and without a network.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import attrs
import pytest
from playwright.sync_api import Browser, Dialog, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(os.environ.get("IMAGESESSION_NODE_TOOLS", ""), "node_modules/axe-core/axe.min.js")
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here; tests/display/browser.sh installs it"
)
needs_axe = pytest.mark.skipif(
    not AXE.is_file(), reason="no axe-core in IMAGESESSION_NODE_TOOLS; see tests/display/browser.sh"
)


@attrs.frozen
class Opened:
    """
    A page in the browser, and all that went wrong in it.

    Attributes:
        page: The page.
        troubles: Errors, warnings, dialogs, and requests to anywhere but files.
    """

    page: Page
    troubles: list[str] = attrs.field(factory=list[str])

    def count(self, selector: str) -> int:
        """
        Tell how many elements there are.
        """
        return self.page.locator(selector).count()

    def focused(self, script: str = "at => at.id") -> Any:
        """
        Tell something of the element that has the focus.
        """
        return self.page.evaluate(f"({script})(document.activeElement)")

    def barriers(self) -> list[str]:
        """
        Return what axe-core says keeps people out.
        """
        self.page.evaluate(AXE.read_text("utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{item['id']}: {node['target']} {node['failureSummary']}"
            for item in found["violations"]
            for node in item["nodes"]
        ]


@contextlib.contextmanager
def browsing() -> Generator[Browser]:
    """
    Have a browser.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_QUIET))
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(
    browser: Browser, path: Path, *, width: int = 1280, height: int = 800, **settings: Any
) -> Generator[Opened]:
    """
    Open a page from its file, as a double click does.

    Args:
        browser: The browser.
        path: The page.
        width: Of the window, in pixels.
        height: Of the window, in pixels.
        **settings: Of the browser's context, such as `color_scheme`.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, **settings)
    shown = Opened(context.new_page())
    page = shown.page

    def dismiss(dialog: Dialog) -> None:
        shown.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def note(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            shown.troubles.append(request.url)

    page.on("console", lambda item: shown.troubles.append(f"{item.type}: {item.text}"))
    page.on("pageerror", lambda error: shown.troubles.append(f"raised: {error}"))
    page.on("dialog", dismiss)
    page.on("request", note)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    yield shown
    context.close()

"""
A real browser for testing pages: headless Chromium without network access.
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
from playwright.sync_api import Browser, Dialog, Page, Request, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(os.environ.get("IMAGESESSION_NODE_TOOLS", ""), "node_modules/axe-core/axe.min.js")
_BROWSER_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)
_PATIENCE_MS = 120_000  # a busy machine may be slow
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here; tests/display/browser.sh installs it"
)
needs_axe = pytest.mark.skipif(
    not AXE.is_file(), reason="no axe-core in IMAGESESSION_NODE_TOOLS; see tests/display/browser.sh"
)


@attrs.frozen
class Opened:
    """
    A page in the browser, and the problems that occurred in it.

    Attributes:
        page: The page.
        problems: Errors, warnings, dialogs, and requests to anywhere but files.
    """

    page: Page
    problems: list[str] = attrs.field(factory=list[str])

    def count(self, selector: str) -> int:
        """
        Return the number of elements that match.
        """
        return self.page.locator(selector).count()

    def focused(self, script: str = "at => at.id") -> Any:
        """
        Evaluate a function of the focused element.
        """
        return self.page.evaluate(f"({script})(document.activeElement)")

    def accessibility_violations(self) -> list[str]:
        """
        Return the accessibility violations that axe-core finds.
        """
        self.page.evaluate(AXE.read_text("utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{violation['id']}: {node['target']} {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]


@contextlib.contextmanager
def launch_browser() -> Generator[Browser]:
    """
    Launch a browser.
    """
    with sync_playwright() as playwright:
        expect.set_options(timeout=_PATIENCE_MS)
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(_BROWSER_ARGS), timeout=_PATIENCE_MS
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(
    browser: Browser, path: Path, *, width: int = 1280, height: int = 800, **settings: Any
) -> Generator[Opened]:
    """
    Open a page from its file, as a double click would.

    Args:
        browser: The browser.
        path: The page.
        width: The window's width, in pixels.
        height: The window's height, in pixels.
        **settings: Settings of the browser context, such as `color_scheme`.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, **settings)
    context.set_default_timeout(_PATIENCE_MS)
    result = Opened(context.new_page())
    page = result.page

    def dismiss(dialog: Dialog) -> None:
        result.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def record_request(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            result.problems.append(request.url)

    page.on("console", lambda entry: result.problems.append(f"{entry.type}: {entry.text}"))
    page.on("pageerror", lambda error: result.problems.append(f"raised: {error}"))
    page.on("dialog", dismiss)
    page.on("request", record_request)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    yield result
    context.close()

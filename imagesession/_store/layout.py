"""
Where things lie in a library.

    <library>/
      general/                       pictures as they came, each with its metadata beside it
      products/<name>/               by the product's name
      ui_assets/{icons,illustrations,backgrounds,heroes,buttons}/
      edited_images/
      variations/
      batch_generations/
      imported/                      copies of pictures that came from elsewhere
      .imagesession/
        FORMAT                       which version of this layout it is
        journal/<turn>.<session>.jsonl   what was asked and is not settled, or not indexed, yet
        sessions/<session>.json      a session's names, choices and where its branches stand
        turns/<session>/<turn>.json  what was asked and what came: the truth
        turns/one-shots/<turn>.json
        batches/<batch>.jsonl        what batches ask for, and what became known of them
        quarantine/<turn>.bin        replies that were paid for and could not be read
        locks/<name>                 held by each library that is open, while its process lives
        limits/<provider>.{wait,next}.json   how long a provider wants to be left alone; disposable
        limits/<provider>.slots/<number>     locked while a request is under way; disposable
        uploads/<sha256>.<provider>.json   pictures that the provider holds for now; disposable
        index.sqlite, index.lock     disposable
        tmp/                         unfinished files
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import attrs

from imagesession._domain.image_header import SUFFIXES, PictureFormat
from imagesession._domain.turn import Kind, Turn, short_id

from .slug import slugify

STANDALONE = "one-shots"
_FOLDERS: dict[Kind, str] = {
    "general": "general",
    "product": "products",
    "ui_asset": "ui_assets",
    "edit": "edited_images",
    "improvement": "edited_images",
    "variation": "variations",
    "batch": "batch_generations",
    "import": "imported",
}
_PLURALS = {
    "icon": "icons",
    "illustration": "illustrations",
    "background": "backgrounds",
    "hero": "heroes",
    "button": "buttons",
}


@attrs.frozen
class Layout:
    """
    The paths of one library.

    Attributes:
        root: The folder that people see.
    """

    root: Path

    @property
    def inner(self) -> Path:
        """
        The folder of everything that is not a picture.
        """
        return self.root / ".imagesession"

    @property
    def format(self) -> Path:
        """
        The file that says which version of the layout this is.
        """
        return self.inner / "FORMAT"

    @property
    def index(self) -> Path:
        """
        The disposable index.
        """
        return self.inner / "index.sqlite"

    @property
    def tmp(self) -> Path:
        """
        The folder of unfinished files.
        """
        return self.inner / "tmp"

    @property
    def journal(self) -> Path:
        """
        The folder of intents.
        """
        return self.inner / "journal"

    @property
    def sessions(self) -> Path:
        """
        The folder of sessions' records.
        """
        return self.inner / "sessions"

    @property
    def turns(self) -> Path:
        """
        The folder of turns' records, in a folder for each session.
        """
        return self.inner / "turns"

    @property
    def batches(self) -> Path:
        """
        The folder of batches.
        """
        return self.inner / "batches"

    @property
    def quarantine(self) -> Path:
        """
        The folder of replies that could not be read.
        """
        return self.inner / "quarantine"

    @property
    def locks(self) -> Path:
        """
        The folder of the libraries that are open.
        """
        return self.inner / "locks"

    @property
    def limits(self) -> Path:
        """
        The folder of how long providers want to be left alone.
        """
        return self.inner / "limits"

    @property
    def uploads(self) -> Path:
        """
        The folder of what the provider holds for now.
        """
        return self.inner / "uploads"

    def folders(self) -> tuple[Path, ...]:
        """
        Return the folders that a library has from the start.
        """
        return (
            self.inner,
            self.tmp,
            self.journal,
            self.sessions,
            self.turns,
            self.turns / STANDALONE,
            self.batches,
            self.quarantine,
            self.locks,
            self.limits,
            self.uploads,
            self.root / "general",
        )

    def session_file(self, session_id: str) -> Path:
        """
        Return where a session's record lies.
        """
        return self.sessions / f"{session_id}.json"

    def turn_file(self, session_id: str | None, turn_id: str) -> Path:
        """
        Return where a turn's record lies.
        """
        return self.turns / (session_id or STANDALONE) / f"{turn_id}.json"

    def batch_file(self, batch_id: str) -> Path:
        """
        Return where lies what is known of a batch.
        """
        return self.batches / f"{batch_id}.jsonl"

    def journal_file(self, turn_id: str, session_id: str | None) -> Path:
        """
        Return where a turn's intent lies. Its name tells where the turn's record would be.
        """
        return self.journal / f"{turn_id}.{session_id or STANDALONE}.jsonl"

    def image_file(self, turn: Turn, at: dt.datetime, number: int, format: PictureFormat) -> str:
        """
        Return a picture's path beneath the library: by kind, session, time in UTC and a number.
        """
        owner = short_id(turn.session or turn.id)
        name = f"session_{owner}_{at:%Y%m%dT%H%M%SZ}_{number:02}{SUFFIXES[format]}"
        return f"{image_dir(turn)}/{name}"


def image_dir(turn: Turn) -> str:
    """
    Return the folder beneath the library in which a turn's pictures lie.
    """
    folder = _FOLDERS.get(turn.kind, "general")
    if turn.kind == "product":
        return f"{folder}/{slugify(turn.label)}"
    if turn.kind == "ui_asset":
        return f"{folder}/{_PLURALS.get(turn.label) or slugify(turn.label)}"
    return folder

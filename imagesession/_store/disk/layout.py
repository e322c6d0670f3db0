"""
The files and folders of a library.

    <library>/
      general/                       images without another purpose
      products/<name>/               grouped by product
      ui_assets/{icons,illustrations,backgrounds,heroes,buttons}/
      edited_images/
      variations/
      batch_generations/
      imported/                      copies of images from elsewhere
      .imagesession/
        FORMAT                       the version of this layout
        journal/<turn>.<session>.jsonl   intents whose turns are not settled, or not indexed, yet
        sessions/<session>.json      a session's name, options and branch heads
        sessions/<owner>.marks       stars, tags and what is deleted of a session, of a batch, or
                                     of a standalone image by its turn's id
        turns/<session>/<turn>.json  requests and their outcomes: the authoritative records
        turns/one-shots/<turn>.json  those of standalone images
        batches/<batch>.jsonl        batches and their updates
        removals/<removal>.json      deletions and erasures that are not finished
        bin/<folder>/<image>         deleted images, each with its metadata
        quarantine/<turn>.bin        paid replies that could not be read
        locks/<name>                 locked by each open library, while its process lives
        locks/<right>.<place>        another name of the lock of the library that holds a right
        limits/<name>.json           cooldowns, rate slots, unsupported features; disposable
        uploads/<sha256>.<provider>.json   ids of images that the provider stores; disposable
        index.sqlite, index.lock     disposable
        tmp/                         unfinished files
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import attrs

from imagesession._domain.image_header import SUFFIXES, ImageFormat
from imagesession._domain.turn import Kind, Turn
from imagesession._store.files.modes import folder_mode, library_mode
from imagesession._store.slug import slugify

from .file_names import FileNames

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
IMAGE_FOLDERS = tuple(dict.fromkeys(_FOLDERS.values()))
"""The folders that hold images, some of them in folders of their own."""
BIN = ".imagesession/bin"
"""The folder of deleted images, which lie there as they did in the library's."""
_PLURALS = {
    "icon": "icons",
    "illustration": "illustrations",
    "background": "backgrounds",
    "hero": "heroes",
    "button": "buttons",
}


def _within(name: str) -> Path:
    default = attrs.Factory(lambda layout: layout.root / ".imagesession" / name, takes_self=True)
    field: Path = attrs.field(default=default, init=False, repr=False)
    return field


@attrs.frozen
class Layout:
    root: Path
    names: FileNames = attrs.field(factory=FileNames)
    inner: Path = _within("")
    format: Path = _within("FORMAT")
    index: Path = _within("index.sqlite")
    tmp: Path = _within("tmp")
    journal: Path = _within("journal")
    sessions: Path = _within("sessions")
    turns: Path = _within("turns")
    batches: Path = _within("batches")
    removals: Path = _within("removals")
    quarantine: Path = _within("quarantine")
    locks: Path = _within("locks")
    limits: Path = _within("limits")
    uploads: Path = _within("uploads")

    @property
    def folder_mode(self) -> int:
        return folder_mode(library_mode(str(self.root)))

    def folders(self) -> tuple[Path, ...]:
        return (
            self.inner,
            self.tmp,
            self.journal,
            self.sessions,
            self.turns,
            self.turns / STANDALONE,
            self.batches,
            self.removals,
            self.quarantine,
            self.locks,
            self.limits,
            self.uploads,
            self.root / "general",
        )

    def session_file(self, session_id: str) -> Path:
        return self.sessions / f"{session_id}.json"

    def turn_file(self, session_id: str | None, turn_id: str) -> Path:
        return self.turns.joinpath(session_id or STANDALONE, f"{turn_id}.json")

    def marks_file(self, owner: str) -> Path:
        return self.sessions / f"{owner}.marks"

    def journal_file(self, turn_id: str, session_id: str | None) -> Path:
        """
        Return the path of a turn's intent. Its name contains what `turn_file` needs.
        """
        return self.journal / f"{turn_id}.{session_id or STANDALONE}.jsonl"

    def image_file(self, turn: Turn, at: dt.datetime, number: int, format: ImageFormat) -> str:
        return f"{image_dir(turn)}/{self.names.render(turn, at, number)}{SUFFIXES[format]}"

    def may_be_of(self, file: str, turn: Turn) -> bool:
        folder, _, name = file.rpartition("/")
        return folder == image_dir(turn) and self.names.matches(name.rpartition(".")[0], turn)


def image_dir(turn: Turn) -> str:
    folder = _FOLDERS.get(turn.kind, "general")
    if turn.kind == "product":
        return f"{folder}/{slugify(turn.label)}"
    if turn.kind == "ui_asset":
        return f"{folder}/{_PLURALS.get(turn.label) or slugify(turn.label)}"
    return folder

"""
Export a session.
"""

from __future__ import annotations

from imagesession._domain.caller_warnings import warn_caller
from imagesession._domain.wording import list_some
from imagesession.errors import IncompleteExportWarning

from .effects import StoreCall, Workflow


def export_session(session_id: str, path: object) -> Workflow[str]:
    written, missing = yield from StoreCall(
        lambda store: store.exports.export_session(session_id, path)
    )
    if missing:
        warn_caller(
            f"{written} is without {list_some(missing)}: the library does not have these files any "
            "more. studio.doctor() says what they were called.",
            IncompleteExportWarning,
        )
    return written

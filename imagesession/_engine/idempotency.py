"""
Idempotency keys: one request, one image.
"""

from __future__ import annotations

from imagesession._domain.options import OPTION_NAMES
from imagesession._domain.turn import Turn
from imagesession._domain.wording import quote
from imagesession.errors import KeyReusedError

from .effects import StoreCall, Workflow
from .input_images import load_input_image
from .request import GenerateRequest
from .sessions import BranchHead
from .validate import validate_label


def find_by_idempotency_key(request: GenerateRequest) -> Workflow[Turn | None]:
    if request.idempotency_key is None:
        return None
    idempotency_key = validate_label("The idempotency key", request.idempotency_key)
    return (yield from StoreCall(lambda store: store.intents.completed_under(idempotency_key)))


def same_request_or_error(
    existing: Turn, request: GenerateRequest, branch_head: BranchHead | None
) -> Workflow[Turn]:
    other = yield from _difference(existing, request, branch_head)
    if other is None:
        return existing
    key = existing.idempotency_key or ""
    # The keys of `map` are made from the names of its requests.
    name = key.removeprefix("map/")
    what = f"idempotency_key={quote(key)}" if name == key else f"The name {quote(name)}"
    raise KeyReusedError(
        f"{what} was used for another {other}; nothing was sent. Use a new one for this image."
    )


def _difference(
    existing: Turn, request: GenerateRequest, branch_head: BranchHead | None
) -> Workflow[str | None]:
    """
    Return what a request has other than the turn of its key; None if they are the same.
    """
    if existing.prompt != request.prompt:
        return f"prompt ({existing.prompt[:60]!r})"
    if existing.session != (branch_head.record.id if branch_head else None):
        return "session"
    chosen = existing.options.updated(request.choices)
    changed = [
        name for name in OPTION_NAMES if getattr(chosen, name) != getattr(existing.options, name)
    ]
    if changed:
        return changed[0]
    if existing.masked != (request.mask is not None):
        return "mask"
    known = {*(reference.sha256 for reference in existing.references), *existing.parents}
    for source in (*request.references, *filter(None, (request.image,))):
        image = yield from load_input_image(source)
        if not {image.sha256, image.image_id} & known:
            return "image"
    return None

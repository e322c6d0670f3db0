"""
What each verb does, from the caller's words to a settled turn.
"""

from __future__ import annotations

import attrs

from imagesession._model.catalogue import Catalogue
from imagesession._model.options import Options
from imagesession._model.turns import Failure, Reference, Turn
from imagesession.errors import (
    CallError,
    ImageSessionError,
    LibraryError,
    OutcomeUnknownError,
    QuotaError,
    RefusedError,
    RejectedError,
    TryLaterError,
)

from .checks import check_mask, check_options, check_partials, check_prompt, check_reference_count
from .delivery import deliver
from .requests import Order
from .sessions import Place
from .steps import AskProvider, Begin, Flow, OnDisk
from .store import Begun, Fetched, Source

_NOT_TAKEN_UP = (TryLaterError, QuotaError, CallError)


@attrs.frozen(kw_only=True)
class Wish:
    """
    What a caller asks for.

    Attributes:
        prompt: In words.
        options: Beside the words, after all defaults.
        references: Pictures that go along.
        mask: Marks what may change.
        partial_images: How many pictures on the way are wanted.
        timeout: Seconds to look for a picture that was accepted.
    """

    prompt: str
    options: Options
    references: tuple[Source, ...] = ()
    mask: Source | None = None
    partial_images: int = 0
    timeout: float = 600.0


def generate(wish: Wish, catalogue: Catalogue, place: Place | None = None) -> Flow[Turn]:
    """
    Make a picture: check, write down the intent, ask, keep what comes, and only then return.

    Args:
        wish: What is wanted.
        catalogue: What is known of the models.
        place: Where in a session it grows; None for a one-shot.

    Raises:
        ImageSessionError: There is no picture, and the error says why and what to do.
    """
    begun = yield from Begin(after=place.tree.latest_id() if place else "")
    order = yield from _order(wish, catalogue, begun, place)
    turn = order.turn
    yield from OnDisk(lambda store: store.intend(turn))
    past = place.past if place else ()
    try:
        outcome, context = yield from deliver(order, past, turn.provider, wish.timeout)
    except ImageSessionError as error:
        yield from _settle(turn, error)
        raise
    answered = attrs.evolve(
        turn,
        text=outcome.text,
        context=context,
        model=outcome.model or order.mainline,
        response_id=outcome.response_id,
        usage=outcome.usage,
    )
    if outcome.error is not None:
        yield from _keep_failure(answered, outcome.error)
        raise outcome.error
    settled = attrs.evolve(answered, status="completed")
    return (yield from OnDisk(lambda store: store.commit(settled, outcome.pictures)))


def _order(wish: Wish, catalogue: Catalogue, begun: Begun, place: Place | None) -> Flow[Order]:
    """
    Check all that can be checked without asking the provider.
    """
    prompt = check_prompt(wish.prompt)
    check_reference_count(len(wish.references))
    check_partials(wish.partial_images)
    mainline = check_options(
        wish.options,
        catalogue,
        begun.at.date(),
        partial_images=wish.partial_images,
        masked=wish.mask is not None,
    )
    references: list[Fetched] = []
    for source in wish.references:
        references.append((yield from _fetch(source)))  # noqa: PERF401 - a step cannot be yielded in a comprehension
    mask = yield from _mask(wish, references, place)
    turn = Turn(
        id=begun.id,
        session=place.record.id if place else None,
        parent=place.head.id if place and place.head else None,
        branch=place.branch if place else "main",
        prompt=prompt,
        options=wish.options,
        references=tuple(Reference(sha256=one.sha256, image_id=one.image_id) for one in references),
        masked=mask is not None,
        provider=(yield from AskProvider()),
        started=begun.at,
    )
    return Order(
        turn=turn,
        mainline=mainline,
        brief=place.record.description if place else "",
        references=tuple(references),
        mask=mask,
        partial_images=wish.partial_images,
    )


def _fetch(source: Source) -> Flow[Fetched]:
    return (yield from OnDisk(lambda store: store.fetch(source)))


def _mask(wish: Wish, references: list[Fetched], place: Place | None) -> Flow[Fetched | None]:
    """
    Read the mask and check it against the picture that it is for: the first reference, or
    the last picture of the session.
    """
    if wish.mask is None:
        return None
    mask = yield from _fetch(wish.mask)
    last = place.head.images[-1] if place and place.head else None
    if references:
        first = references[0].facts
        check_mask(mask.facts, (first.width, first.height))
    else:
        check_mask(mask.facts, (last.width, last.height) if last else None)
    return mask


def _settle(turn: Turn, error: ImageSessionError) -> Flow[None]:
    """
    Settle a turn for which there was no reply to keep.

    Nothing is kept of a request that was not sent or not taken up. An intent stays in the journal
    while the outcome is unknown, or the disk would not take it.
    """
    if isinstance(error, (OutcomeUnknownError, LibraryError)):
        return
    if isinstance(error, _NOT_TAKEN_UP) and not isinstance(error, RejectedError):
        yield from OnDisk(lambda store: store.forget(turn))
    else:
        yield from _keep_failure(turn, error)


def _keep_failure(turn: Turn, error: ImageSessionError) -> Flow[None]:
    """
    Keep the fact that a turn brought no picture.
    """
    failed = attrs.evolve(
        turn,
        status="refused" if isinstance(error, RefusedError) else "failed",
        failure=Failure(error=type(error).__name__, message=error.message),
    )
    yield from OnDisk(lambda store: store.commit(failed, ()))

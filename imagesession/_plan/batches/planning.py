"""
Plan a batch: check everything that is wanted, and put together what is asked.

What stands in a batch is asked of the Images API, line by line: each picture on its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from imagesession._model.batches import BatchItem, BatchRecord
from imagesession._model.estimates import Estimate, estimate
from imagesession._model.turns import Turn
from imagesession._plan import images_api, jobs
from imagesession._plan.ordering import chosen, plan_order
from imagesession._plan.requests import Order
from imagesession._plan.sessions import Place
from imagesession._plan.steps import AskProvider, Begin, Flow, OnDisk
from imagesession._plan.store import Begun
from imagesession._plan.wishes import Terms, Wish
from imagesession.errors import CallError, OptionError

from . import wire


@attrs.frozen(kw_only=True)
class Planned:
    """
    A picture to ask for.

    Attributes:
        turn: Its turn.
        wish: What is wanted.
        model: The model that draws.
        endpoint: Where its line goes.
        expected: What it could cost.
        line: Its line; None where pictures go along, which have to be sent up first.
    """

    turn: Turn
    wish: Wish
    model: str
    endpoint: str
    expected: Estimate
    line: bytes | None


Named = Sequence[tuple[str | None, Wish]]


def plan(
    named: Named, name: str | None, digest: str, begun: Begun, terms: Terms
) -> Flow[tuple[BatchRecord, tuple[Planned, ...]]]:
    """
    Check every wish, and put the batch together.
    """
    planned: list[Planned] = []
    items: list[BatchItem] = []
    last = begun.id
    for number, (key, wish) in enumerate(named, 1):
        made = yield from _made_before(wish)
        if made is not None:
            items.append(BatchItem(turn=made.id, key=key, session=made.session, asked=False))
            continue
        try:
            one = yield from _one(wish, begun, last, terms)
        except CallError as error:
            raise jobs.told_of(error, number, len(named), key) from error
        last = one.turn.id
        planned.append(one)
        items.append(BatchItem(turn=last, key=key))
    _check_alike(planned)
    first = planned[0] if planned else None
    record = BatchRecord(
        id=begun.id,
        name=name,
        provider=(yield from AskProvider()),
        endpoint=f"/v1{first.endpoint}" if first else "",
        model=first.model if first else "",
        items=tuple(items),
        digest=digest,
        estimate=_sum(planned, terms),
        created=begun.at,
        state="preparing" if planned else "completed",
        settled=not planned,
    )
    return record, tuple(planned)


def _made_before(wish: Wish) -> Flow[Turn | None]:
    intent_id = wish.intent_id
    if intent_id is None:
        return None
    return (yield from OnDisk(lambda store: store.find_intent(intent_id)))


def _one(wish: Wish, begun: Begun, last: str, terms: Terms) -> Flow[Planned]:
    wish = for_batch(wish, terms)
    mine = yield from Begin(after=last)
    order = yield from plan_order(wish, terms, attrs.evolve(mine, at=begun.at), None)
    expected = expect(order, terms)
    reserved = expected.high if terms.budget is not None else None
    turn = attrs.evolve(order.turn, batch=begun.id, reserved=reserved)
    order = attrs.evolve(order, turn=turn)
    endpoint = images_api.EDITS if order.references else images_api.GENERATIONS
    return Planned(
        turn=turn,
        wish=wish,
        model=order.image_model,
        endpoint=endpoint,
        expected=expected,
        line=None if order.references else line_of(order, endpoint),
    )


def for_batch(wish: Wish, terms: Terms, place: Place | None = None) -> Wish:
    """
    Name the model that draws a wish in a batch.

    Raises:
        OptionError: It takes no batches; or the wish is a session's.
    """
    if place is not None:
        raise OptionError(
            "A session's turns are not made in batches: each needs the answer to the one before. "
            "Ask the studio instead.",
            "batch",
            value=True,
        )
    wanted = chosen(wish.choices, terms, None).image_model
    if wanted == "auto":
        wanted = terms.catalogue.batch_image
    model = terms.catalogue.find(wanted)
    if model is not None and model.kind == "image" and not model.batch:
        takes = terms.catalogue.batch_image
        raise OptionError(
            f"image_model={wanted!r} is not made in batches. Leave it out for {takes!r}, or use "
            f"studio.map(...), which takes {wanted!r} at its full price.",
            "image_model",
            wanted,
            (takes,),
        )
    return attrs.evolve(wish, choices={**wish.choices, "image_model": wanted})


def expect(order: Order, terms: Terms) -> Estimate:
    """
    Tell what a picture of a batch could cost.
    """
    return estimate(
        order.turn.options,
        terms.catalogue,
        prompt=order.turn.prompt,
        pictures=[(one.facts.width, one.facts.height) for one in order.references],
        leads=False,
        batch=True,
    )


def _sum(planned: Sequence[Planned], terms: Terms) -> Estimate:
    highs = [one.expected.high for one in planned]
    # The first of the grounds tells of prices and of one picture; the others repeat themselves.
    grounds = dict.fromkeys(ground for one in planned for ground in one.expected.grounds[1:])
    head = (
        f"Prices are those of {terms.catalogue.dated.isoformat()}, halved for a batch, for "
        f"{len(planned)} pictures."
    )
    return Estimate(
        low=sum(one.expected.low for one in planned),
        high=None if None in highs else sum(high or 0.0 for high in highs),
        grounds=(head, *grounds),
    )


def _check_alike(planned: Sequence[Planned]) -> None:
    """
    Refuse what does not go into one batch: a batch has one endpoint and one model.
    """
    edits = sum(one.endpoint == images_api.EDITS for one in planned)
    if 0 < edits < len(planned):
        raise CallError(
            f"{edits} of {len(planned)} pictures go by other pictures, and the rest by words "
            "alone; a batch takes either kind. Nothing was sent. Submit them as two batches."
        )
    models = dict.fromkeys(one.model for one in planned)
    if len(models) > 1:
        raise OptionError(
            f"A batch has one image model, and here are {', '.join(map(repr, models))}. Nothing "
            "was sent. Submit a batch for each.",
            "image_model",
            tuple(models),
            tuple(models)[:1],
        )


def line_of(order: Order, endpoint: str) -> bytes:
    """
    Write the line of a picture.
    """
    return wire.line(order.turn.id, f"/v1{endpoint}", images_api.write(order))

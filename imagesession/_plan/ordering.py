"""
From a wish to an order: all that can be checked and gathered without asking the provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from imagesession._model.options import Options
from imagesession._model.turns import Reference, Turn
from imagesession.errors import OptionError, PictureError

from .checks import check_options, check_partials, check_prompt, check_reference_count
from .leases import Reservation
from .requests import Order
from .sessions import Place
from .steps import AskProvider, Begin, Flow, OnDisk
from .store import Begun, Fetched, Source
from .wishes import Terms, Wish

if TYPE_CHECKING:
    from imagesession._model.estimates import Estimate


@attrs.frozen(kw_only=True)
class Gathered:
    """
    The pictures that go along.

    Attributes:
        pictures: All of them; the one that is changed comes first.
        based: Whether the one that is changed is among them.
        mask: Marks what may change.
        markup: A drawing that lies over the first picture.
    """

    pictures: tuple[Fetched, ...] = ()
    based: bool = False
    mask: Fetched | None = None
    markup: Fetched | None = None


def plan_order(wish: Wish, terms: Terms, begun: Begun, place: Place | None) -> Flow[Order]:
    """
    Check a wish, read its pictures, and put together what is asked.

    Raises:
        CallError: It has to change; nothing was sent.
    """
    prompt = check_prompt(wish.prompt)
    check_reference_count(len(wish.references) + (wish.image is not None))
    check_partials(wish.partial_images)
    options, mainline = _checked_options(wish, terms, begun, place)
    gathered = yield from _gather(wish, options, terms, place)
    turn = attrs.evolve(
        (yield from new_turn(begun, place, prompt, options, gathered.pictures)),
        kind=wish.kind,
        label=wish.label,
        parameters=wish.parameters,
        parents=tuple(_parents(gathered.pictures, place)),
        masked=wish.mask is not None,
        intent_id=wish.intent_id,
    )
    return Order(
        turn=turn,
        mainline=mainline,
        image_model=image_model(options, terms),
        brief=place.record.description if place else "",
        references=gathered.pictures,
        based=gathered.based,
        mask=gathered.mask,
        markup=gathered.markup,
        edits=wish.edits,
        partial_images=wish.partial_images,
    )


def new_turn(
    begun: Begun,
    place: Place | None,
    prompt: str,
    options: Options,
    pictures: Iterable[Fetched],
) -> Flow[Turn]:
    """
    Begin a turn that grows at a place, or stands alone.
    """
    return Turn(
        id=begun.id,
        session=place.record.id if place else None,
        parent=place.head.id if place and place.head else None,
        branch=place.branch if place else "main",
        depth=len(place.past) + 1 if place else 1,
        prompt=prompt,
        options=options,
        references=tuple(Reference(sha256=one.sha256, image_id=one.image_id) for one in pictures),
        provider=(yield from AskProvider()),
        started=begun.at,
    )


def _checked_options(
    wish: Wish, terms: Terms, begun: Begun, place: Place | None
) -> tuple[Options, str]:
    """
    Return the options that hold, checked, and the name of the mainline model.
    """
    options = chosen(wish.choices, terms, place)
    mainline = check_options(
        options,
        terms.catalogue,
        begun.at.date(),
        partial_images=wish.partial_images,
        masked=wish.mask is not None,
    )
    return options, mainline


def chosen(choices: Mapping[str, Any], terms: Terms, place: Place | None) -> Options:
    """
    Return the options of a call over those of its session over those of the studio.

    Raises:
        OptionError: A name is not an option's, or a value is not one that it takes.
    """
    own = terms.options.updated(place.record.choices) if place else terms.options
    return own.updated(choices)


def image_model(options: Options, terms: Terms) -> str:
    """
    Return the name of the model that draws.
    """
    return terms.catalogue.image if options.image_model == "auto" else options.image_model


def reserve(
    order: Order, terms: Terms, past: tuple[Turn, ...] = (), *, draws: bool = True
) -> tuple[Order, Reservation | None]:
    """
    Set aside what an order may cost, where there is a budget.

    Args:
        order: What is asked.
        terms: Where the budget is.
        past: The turns that the model is told of.
        draws: Whether a picture is asked for, not words alone.
    """
    if terms.budget is None:
        return order, None
    expected = _expect(order, terms, past, draws=draws)
    turn = attrs.evolve(order.turn, reserved=expected.high)
    return attrs.evolve(order, turn=turn), Reservation(budget=terms.budget, estimate=expected)


def _expect(order: Order, terms: Terms, past: tuple[Turn, ...], *, draws: bool) -> Estimate:
    from imagesession._model.estimates import estimate  # noqa: PLC0415 - hardly ever needed

    return estimate(
        order.turn.options,
        terms.catalogue,
        prompt="\n".join(filter(None, (order.brief, order.turn.prompt))),
        pictures=[*_last_size(past), *_sizes(order.references)],
        partial_images=order.partial_images,
        turns_before=len(past),
        leads=order.markup is None,
        draws=draws,
    )


def expect_wish(
    wish: Wish, terms: Terms, count: int, place: Place | None = None, *, batch: bool = False
) -> Flow[Estimate]:
    """
    Estimate what a wish costs, without asking anybody.

    Args:
        wish: What is wanted; its prompt may be empty.
        terms: What holds for everything that is asked.
        count: How many such pictures.
        place: Where in a session; None for a picture on its own.
        batch: Whether it is made in a batch.

    Raises:
        CallError: The wish has to change.
    """
    if type(count) is not int or count < 1:
        raise OptionError(f"n={count!r} is not a whole number from 1.", "n", count, ("1",))
    if wish.prompt:
        check_prompt(wish.prompt)
    check_partials(wish.partial_images)
    begun = yield from Begin()
    options, _ = _checked_options(wish, terms, begun, place)
    gathered = yield from _gather(wish, options, terms, place)
    past = place.past if place else ()
    brief = place.record.description if place else ""
    from imagesession._model.estimates import estimate  # noqa: PLC0415 - hardly ever needed

    return estimate(
        options,
        terms.catalogue,
        prompt=f"{brief}\n{wish.prompt}".strip(),
        pictures=[*_last_size(past), *_sizes(gathered.pictures)],
        partial_images=wish.partial_images,
        count=count,
        turns_before=len(past),
        leads=not batch,
        batch=batch,
    )


def _sizes(pictures: tuple[Fetched, ...]) -> list[tuple[int, int]]:
    return [(one.facts.width, one.facts.height) for one in pictures]


def _last_size(past: tuple[Turn, ...]) -> list[tuple[int, int]]:
    """
    Return the size of the picture that the model goes on from, if there is one.
    """
    return [(turn.images[-1].width, turn.images[-1].height) for turn in past[-1:]]


def fetch(source: Source) -> Flow[Fetched]:
    """
    Read a picture as the wire takes it.
    """
    return (yield from OnDisk(lambda store: store.fetch(source)))


def _gather(wish: Wish, options: Options, terms: Terms, place: Place | None) -> Flow[Gathered]:
    """
    Read the pictures that go along: the one that is changed, where it must be shown, and others.
    """
    pictures: list[Fetched] = []
    base = yield from _base(wish, place)
    if base is not None:
        pictures.append(base)
    for source in wish.references:
        pictures.append((yield from fetch(source)))  # noqa: PERF401 - a step cannot be yielded in a comprehension
    if wish.mask is None and wish.markup is None:
        _check_alone(wish)
        return Gathered(pictures=tuple(pictures), based=base is not None)
    if not pictures:
        raise PictureError(
            "A mask needs a picture to work on: give one with image= or reference=, or continue a "
            "session that has one."
        )
    mask = markup = None
    if wish.mask is not None:
        mask = yield from _mask(wish.mask, pictures[0], wish)
    if wish.markup is not None:
        _check_markup(wish, options, terms)
        markup = yield from _markup(wish.markup, pictures[0], wish)
    return Gathered(pictures=tuple(pictures), based=True, mask=mask, markup=markup)


def _base(wish: Wish, place: Place | None) -> Flow[Fetched | None]:
    """
    Read the picture that is changed, where it has to be shown.

    A model that made the session's last picture knows it, and need not be shown it again unless
    a mask or drawing has to fit it.
    """
    last = place.head.images[-1] if place and place.head else None
    fitted = wish.mask is not None or wish.markup is not None
    if wish.image is not None:
        base = yield from fetch(wish.image)
        known = last is not None and base.image_id == last.id
        return None if known and not fitted else base
    if wish.edits and last is None:
        raise PictureError(
            "There is no picture to edit: give one with image=, or generate one in this session "
            "first."
        )
    if last is not None and fitted and (wish.edits or not wish.references):
        return (yield from fetch(last))
    return None


def _check_alone(wish: Wish) -> None:
    if wish.fit or wish.keep_outside:
        named = "keep_outside" if wish.keep_outside else "fit"
        raise OptionError(
            f"{named}=True needs a mask to go by; give one with mask=.", named, value=True
        )


def _check_markup(wish: Wish, options: Options, terms: Terms) -> None:
    """
    Refuse a drawing where the wire does not take one.

    Source: https://developers.openai.com/api/reference/resources/images/methods/edit (markup)
    """
    if wish.mask is not None:
        raise OptionError("markup= and mask= do not go together; give one of them.", "markup")
    if wish.partial_images:
        raise OptionError("markup= brings no pictures on the way.", "markup")
    model = terms.catalogue.find(image_model(options, terms))
    if model is not None and not model.markup:
        raise OptionError(
            f"markup= is not taken by {model.id}; the models of GPT Image 2.5 and 2.6 take it, "
            f"such as image_model={terms.catalogue.image!r}.",
            "image_model",
            model.id,
            (terms.catalogue.image,),
        )


def _mask(source: Source, picture: Fetched, wish: Wish) -> Flow[Fetched]:
    return (yield from OnDisk(lambda store: store.mask(source, picture, fit=wish.fit)))


def _markup(source: Source, picture: Fetched, wish: Wish) -> Flow[Fetched]:
    return (yield from OnDisk(lambda store: store.markup(source, picture, fit=wish.fit)))


def _parents(pictures: tuple[Fetched, ...], place: Place | None) -> list[str]:
    """
    Return the kept pictures that a turn comes from, each once.
    """
    head = [place.head.images[-1].id] if place and place.head else []
    sent = [one.image_id for one in pictures if one.image_id is not None]
    return list(dict.fromkeys([*head, *sent]))

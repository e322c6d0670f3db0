"""
From the words of a call to a flow: what studios and sessions, sync and async, have in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic

import attrs

from imagesession._images import AnyDesk
from imagesession._model.analysis import recalled
from imagesession._model.catalogue import Model
from imagesession._model.turns import Turn
from imagesession._plan import flows, recovery, variations
from imagesession._plan.ordering import chosen, expect_wish, image_model, plan_order
from imagesession._plan.sessions import Place
from imagesession._plan.steps import Begin, Flow, OnDisk
from imagesession._plan.store import Source
from imagesession._plan.wishes import Terms, Wish

if TYPE_CHECKING:
    from imagesession._model.analysis import Analysis
    from imagesession._model.estimates import Estimate

PARALLEL = 4
"""How many requests go out at once where several are made."""


@attrs.frozen(kw_only=True)
class Framing:
    """
    A description for a preset's frame.

    Attributes:
        preset: The name of the preset.
        description: What the picture is of.
        choices: What is chosen of the preset's parameters.
        references: Pictures that go along.
        options: Options that the call names.
        intent_id: The caller's own name for the picture.
    """

    preset: str
    description: str
    choices: Mapping[str, str]
    references: tuple[Source, ...]
    options: Mapping[str, Any]
    intent_id: str | None = None

    def wish(self, model: Model | None) -> Wish:
        """
        Turn it into a wish.

        Args:
            model: What is known of the model that will draw.

        Raises:
            CallError: There is no such preset, or no such choice.
        """
        from imagesession import presets  # noqa: PLC0415 - not everybody uses one

        preset = presets.get(self.preset)
        picked = preset.chosen(**self.choices)
        asked = preset.options_for(model, self.options, **self.choices)
        labels = {"product": self.description, "ui_asset": picked.get("asset_type", "")}
        return Wish(
            prompt=preset.prompt_for(self.description, **self.choices),
            choices={**asked, **self.options},
            references=self.references,
            kind=preset.kind,
            label=labels.get(preset.kind, ""),
            parameters={"preset": preset.name, "description": self.description, **picked},
            intent_id=self.intent_id,
        )


class Asking(Generic[AnyDesk]):
    """
    Whoever can be asked for pictures: a studio for single ones, a session in its context.
    """

    _desk: AnyDesk

    @property
    def _terms(self) -> Terms:
        return self._desk.terms

    def _place(self) -> Flow[Place | None]:
        """
        Find out where the next turn grows; None for a one-shot.
        """
        raise NotImplementedError

    def _here(self) -> Flow[Place | None]:
        """
        Find out where the next turn grows, after what a stopped program may have left there.
        """
        yield from recovery.reconcile_orphans(self._terms)
        return (yield from self._place())

    def _grow(self, wish: Wish) -> Flow[Turn]:
        place = yield from self._here()
        return (yield from flows.generate(wish, self._terms, place))

    def _expect(self, wish: Wish, count: int, *, batch: bool) -> Flow[Estimate]:
        place = yield from self._place()
        if batch:
            from imagesession._plan.batches import planning  # noqa: PLC0415 - hardly ever needed

            wish = planning.for_batch(wish, self._terms, place)
        return (yield from expect_wish(wish, self._terms, count, place, batch=batch))

    def _look(self, wish: Wish) -> Flow[Analysis]:
        from imagesession._plan import analysis  # noqa: PLC0415 - not everybody looks

        place = yield from self._here()
        return (yield from analysis.analyze(wish, self._terms, place))

    def _improve(self, wish: Wish, preserve_elements: str) -> Flow[tuple[Analysis, Turn]]:
        from imagesession._plan import analysis  # noqa: PLC0415 - not everybody looks

        analysis.check_improvement(wish.prompt, preserve_elements)
        before = yield from self._made(wish.intent_id)
        if before is not None:
            return recalled(before), before
        found = yield from self._look(wish)
        turn = yield from self._grow(analysis.mend(wish, found, preserve_elements))
        return found, turn

    def _made(self, intent_id: str | None) -> Flow[Turn | None]:
        if intent_id is None:
            return None
        return (yield from OnDisk(lambda store: store.find_intent(intent_id)))

    def _framed(self, framing: Framing) -> Flow[tuple[Wish, Place | None]]:
        """
        Put a description into a preset's frame.
        """
        place = yield from self._here()
        own = chosen(framing.options, self._terms, place)
        return framing.wish(self._terms.catalogue.find(image_model(own, self._terms))), place

    def _from_preset(self, framing: Framing) -> Flow[Turn]:
        wish, place = yield from self._framed(framing)
        return (yield from flows.generate(wish, self._terms, place))

    def _takes(self, wish: Wish, count: int) -> Flow[list[Flow[Turn]]]:
        """
        Plan several takes that grow at the same place.
        """
        place = yield from self._here()
        return (yield from self._checked_takes(wish, count, place))

    def _takes_from_preset(self, framing: Framing, count: int) -> Flow[list[Flow[Turn]]]:
        variations.check_count("batch_count", count)
        wish, place = yield from self._framed(framing)
        return (yield from self._checked_takes(wish, count, place))

    def _checked_takes(self, wish: Wish, count: int, place: Place | None) -> Flow[list[Flow[Turn]]]:
        """
        Plan takes of a wish that can be asked for.

        Raises:
            CallError: It has to change, and every take of it.
        """
        yield from plan_order(wish, self._terms, (yield from Begin()), place)
        return list(self._each_take(wish, count, place))

    def _each_take(self, wish: Wish, count: int, place: Place | None) -> Iterator[Flow[Turn]]:
        for number in range(1, count + 1):
            prompt = variations.take(wish.prompt, number, count)
            one = attrs.evolve(
                wish,
                prompt=prompt,
                parameters={**wish.parameters, "take": number, "takes": count},
                intent_id=wish.intent_id and f"{wish.intent_id}/{number}",
            )
            yield flows.generate(one, self._terms, place)


def product_choices(background_type: str, angle: str, lighting: str) -> dict[str, str]:
    """
    Name what is chosen of a product photograph.
    """
    return {"background_type": background_type, "angle": angle, "lighting": lighting}


def asset_choices(
    asset_type: str, theme: str, style_preset: str, size_preset: str
) -> dict[str, str]:
    """
    Name what is chosen of a UI asset.
    """
    return {
        "asset_type": asset_type,
        "theme": theme,
        "style_preset": style_preset,
        "size_preset": size_preset,
    }

"""
The verbs that draw: the same on a studio, for single pictures, and on a session, in its context.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING

from imagesession._asking import PARALLEL, Asking
from imagesession._drive.desk import AsyncDesk, Desk
from imagesession._images import (
    AsyncSavedImage,
    Picture,
    Pictures,
    SavedImage,
    optional_source,
    sources,
)
from imagesession._model.options import OptionKeywords
from imagesession._model.partials import PartialImage
from imagesession._model.results import Results
from imagesession._model.turns import Turn
from imagesession._plan import variations
from imagesession._plan.wishes import Wish
from imagesession._signatures import takes_options
from imagesession.errors import ImageSessionError

if TYPE_CHECKING:
    from typing import Unpack

    from imagesession._model.estimates import Estimate
    from imagesession._model.progress import OnProgress
    from imagesession._pixels.masks import Mask


class Draws(Asking[Desk]):
    """
    Draws pictures.
    """

    @takes_options
    def generate(
        self,
        prompt: str,
        *,
        reference: Pictures = (),
        mask: Picture | Mask | None = None,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> SavedImage:
        """
        Make a picture; on a session, one that continues the conversation.

        When this returns, the picture and its record are on stable storage.

        Args:
            prompt: What to make or change; up to 32,000 characters.
            reference: Pictures to go by, up to 16 of at most 25 MB: paths, ids of kept pictures,
                bytes, open files, PIL images or kept pictures. Any format that Pillow reads.
            mask: What may change in the first reference, or in the session's last picture: a
                `Mask`, or a picture of the same size that is transparent or white there.
            intent_id: A name of your own for this picture. Asked for again under the same name,
                it is given from the library, and nothing is sent.
            on_progress: Called with a `Progress` as the call gets on, twice a second while it
                waits; `print` will do.
            **options: See `Options`.

        Returns:
            The picture; if the reply brought several, the last of them. All are kept.

        Raises:
            CallError: The call has to change; nothing was sent.
            BudgetError: It might cost more than is left; nothing was sent.
            RefusedError: The model or a safety system declined.
            TryLaterError: The provider turned the request away; nothing was billed.
            OutcomeUnknownError: The answer was lost; it is not asked for again by itself.
            ImageSessionError: See `imagesession.errors` for all that can happen.
        """
        wish = _drawing(prompt, reference, mask, options, intent_id=intent_id)
        return self._last(self._desk.do(self._grow(wish), on_progress))

    @takes_options
    def stream(
        self,
        prompt: str,
        *,
        partial_images: int = 2,
        reference: Pictures = (),
        mask: Picture | Mask | None = None,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Generator[PartialImage | SavedImage, None, None]:
        """
        Make a picture and show it while it comes.

        Takes and raises the same as `generate`; nothing is sent before the first event is asked
        for.

        Args:
            prompt: What to make or change.
            partial_images: How many unfinished pictures are wanted, 0 to 3; each is billed as
                100 more tokens. There may be fewer, or one more.
            reference: As in `generate`.
            mask: As in `generate`.
            intent_id: As in `generate`; what was made before comes without unfinished ones.
            on_progress: As in `generate`.
            **options: See `Options`.

        Yields:
            The unfinished pictures, then the one that is kept.
        """
        wish = _drawing(
            prompt, reference, mask, options, intent_id=intent_id, partial_images=partial_images
        )
        return self._desk.stream(self._grow(wish), self._last, on_progress)

    @takes_options
    def edit(
        self,
        prompt: str,
        *,
        image: Picture | None = None,
        mask: Picture | Mask | None = None,
        fit: bool = False,
        keep_outside: bool = False,
        markup: Picture | None = None,
        reference: Pictures = (),
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> SavedImage:
        """
        Change a picture.

        Args:
            prompt: What to change.
            image: The picture: a path, the id of a kept one, bytes, an open file, a PIL image or
                a kept picture, of at most 25 MB and 64 million pixels. On a session, left out, it
                is the last picture.
            mask: What may change: a `Mask`, or a picture of the same size that is transparent
                or white there. Checked before anything is sent.
            fit: Whether to rescale a mask or markup that has another size.
            keep_outside: Whether to keep, beside the untouched reply, a picture whose pixels
                outside the mask are the original's, bit for bit; models change them more often
                than not. That one is returned, and refined by the next turn.
            markup: A drawing on a transparent ground that lies over the picture and shows where
                and what to change; taken by the models of GPT Image 2.5 and 2.6.
            reference: Further pictures to go by.
            intent_id: As in `generate`.
            on_progress: As in `generate`.
            **options: See `Options`.

        Returns:
            The changed picture.

        Raises:
            PictureError: There is no picture, or it or its mask cannot be used; nothing was sent.
            ImageSessionError: As for `generate`.
        """
        wish = _editing(
            prompt, image, options, mask=mask, markup=markup, reference=reference,
            fit=fit, keep_outside=keep_outside, intent_id=intent_id,
        )  # fmt: skip
        return self._last(self._desk.do(self._grow(wish), on_progress))

    @takes_options
    def variations(
        self,
        prompt: str = "",
        *,
        image: Picture | None = None,
        n: int = 3,
        reference: Pictures = (),
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Results[SavedImage]:
        """
        Make several pictures of one prompt, or of one picture, side by side.

        On a session all of them grow on the same picture; `checkout` or `branch` goes on with
        one of them.

        Args:
            prompt: What they show; with a picture, how they differ from it (may be left out).
            image: The picture that is varied; None to make them from the prompt alone.
            n: How many, 1 to 10. Each is a request of its own, and is billed.
            reference: As in `generate`.
            intent_id: As in `generate`; the pictures are named by it with "/1" and so on.
            on_progress: As in `generate`; its `position` tells which picture it is about.
            **options: See `Options`.

        Returns:
            The pictures in order; where one failed, its error stands in its place.

        Raises:
            CallError: The call has to change; nothing was sent.
        """
        wish = _varying(prompt, image, n, reference, options, intent_id=intent_id)
        flows = self._desk.do(self._takes(wish, n))
        return self._results(
            self._desk.gather(flows, concurrency=PARALLEL, on_progress=on_progress)
        )

    @takes_options
    def estimate(
        self,
        prompt: str = "",
        *,
        image: Picture | None = None,
        reference: Pictures = (),
        mask: Picture | Mask | None = None,
        partial_images: int = 0,
        n: int = 1,
        batch: bool = False,
        **options: Unpack[OptionKeywords],
    ) -> Estimate:
        """
        Tell what a picture could cost, before anything is sent; on a session, as its next turn.

        Args:
            prompt: As for `generate`.
            image: As for `edit`.
            reference: As for `generate`.
            mask: As for `generate`.
            partial_images: As for `stream`.
            n: How many such pictures.
            batch: Whether they are made in a batch, at half the price; on a studio alone.
            **options: See `Options`; naming quality and size narrows the range.

        Returns:
            The least and the most in US dollars, and what that rests on.

        Raises:
            CallError: The call has to change.
        """
        wish = _pricing(
            prompt, image, options,
            reference=reference, mask=mask, partial_images=partial_images,
        )  # fmt: skip
        return self._desk.do(self._expect(wish, n, batch=batch))

    def _last(self, turn: Turn) -> SavedImage:
        return SavedImage(turn, len(turn.images) - 1, self._desk)

    def _results(
        self, found: list[Turn | ImageSessionError], keys: tuple[str, ...] = ()
    ) -> Results[SavedImage]:
        shown = (one if isinstance(one, ImageSessionError) else self._last(one) for one in found)
        return Results(tuple(shown), keys)


class AsyncDraws(Asking[AsyncDesk]):
    """
    Same as `Draws`, but awaits.
    """

    @takes_options
    async def generate(
        self,
        prompt: str,
        *,
        reference: Pictures = (),
        mask: Picture | Mask | None = None,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncSavedImage:
        """
        Same as `Studio.generate`, but awaits.
        """
        wish = _drawing(prompt, reference, mask, options, intent_id=intent_id)
        return self._last(await self._desk.do(self._grow(wish), on_progress))

    @takes_options
    def stream(
        self,
        prompt: str,
        *,
        partial_images: int = 2,
        reference: Pictures = (),
        mask: Picture | Mask | None = None,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncGenerator[PartialImage | AsyncSavedImage, None]:
        """
        Same as `Studio.stream`, but iterated with `async for`.
        """
        wish = _drawing(
            prompt, reference, mask, options, intent_id=intent_id, partial_images=partial_images
        )
        return self._desk.stream(self._grow(wish), self._last, on_progress)

    @takes_options
    async def edit(
        self,
        prompt: str,
        *,
        image: Picture | None = None,
        mask: Picture | Mask | None = None,
        fit: bool = False,
        keep_outside: bool = False,
        markup: Picture | None = None,
        reference: Pictures = (),
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncSavedImage:
        """
        Same as `Studio.edit`, but awaits.
        """
        wish = _editing(
            prompt, image, options, mask=mask, markup=markup, reference=reference,
            fit=fit, keep_outside=keep_outside, intent_id=intent_id,
        )  # fmt: skip
        return self._last(await self._desk.do(self._grow(wish), on_progress))

    @takes_options
    async def variations(
        self,
        prompt: str = "",
        *,
        image: Picture | None = None,
        n: int = 3,
        reference: Pictures = (),
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Results[AsyncSavedImage]:
        """
        Same as `Studio.variations`, but awaits.
        """
        wish = _varying(prompt, image, n, reference, options, intent_id=intent_id)
        flows = await self._desk.do(self._takes(wish, n))
        return self._results(
            await self._desk.gather(flows, concurrency=PARALLEL, on_progress=on_progress)
        )

    @takes_options
    async def estimate(
        self,
        prompt: str = "",
        *,
        image: Picture | None = None,
        reference: Pictures = (),
        mask: Picture | Mask | None = None,
        partial_images: int = 0,
        n: int = 1,
        batch: bool = False,
        **options: Unpack[OptionKeywords],
    ) -> Estimate:
        """
        Same as `Studio.estimate`, but awaits.
        """
        wish = _pricing(
            prompt, image, options,
            reference=reference, mask=mask, partial_images=partial_images,
        )  # fmt: skip
        return await self._desk.do(self._expect(wish, n, batch=batch))

    def _last(self, turn: Turn) -> AsyncSavedImage:
        return AsyncSavedImage(turn, len(turn.images) - 1, self._desk)

    def _results(
        self, found: list[Turn | ImageSessionError], keys: tuple[str, ...] = ()
    ) -> Results[AsyncSavedImage]:
        shown = (one if isinstance(one, ImageSessionError) else self._last(one) for one in found)
        return Results(tuple(shown), keys)


# --- what both share ---------------------------------------------------------------------------


def _drawing(
    prompt: str,
    reference: Pictures,
    mask: Picture | Mask | None,
    options: OptionKeywords,
    *,
    partial_images: int = 0,
    intent_id: str | None = None,
) -> Wish:
    return Wish(
        prompt=prompt,
        choices=dict(options),
        references=sources(reference),
        mask=optional_source(mask),
        partial_images=partial_images,
        intent_id=intent_id,
    )


def _editing(
    prompt: str,
    image: Picture | None,
    options: OptionKeywords,
    *,
    mask: Picture | Mask | None,
    markup: Picture | None,
    reference: Pictures,
    fit: bool,
    keep_outside: bool,
    intent_id: str | None,
) -> Wish:
    return Wish(
        prompt=prompt,
        choices=dict(options),
        references=sources(reference),
        edits=True,
        image=optional_source(image),
        mask=optional_source(mask),
        markup=optional_source(markup),
        fit=fit,
        keep_outside=keep_outside,
        kind="edit",
        intent_id=intent_id,
    )


def _pricing(
    prompt: str,
    image: Picture | None,
    options: OptionKeywords,
    *,
    reference: Pictures,
    mask: Picture | Mask | None,
    partial_images: int,
) -> Wish:
    return Wish(
        prompt=prompt,
        choices=dict(options),
        references=sources(reference),
        image=optional_source(image),
        mask=optional_source(mask),
        partial_images=partial_images,
    )


def _varying(
    prompt: str,
    image: Picture | None,
    n: int,
    reference: Pictures,
    options: OptionKeywords,
    *,
    intent_id: str | None,
) -> Wish:
    variations.check_count("n", n)
    words = prompt if prompt or image is None else variations.OF_A_PICTURE
    return Wish(
        prompt=words,
        choices=dict(options),
        references=sources(reference),
        edits=image is not None,
        image=optional_source(image),
        kind="variation",
        intent_id=intent_id,
    )

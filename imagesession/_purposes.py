"""
The verbs with a purpose: product photographs, UI assets, presets of your own, looking and mending.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from imagesession._asking import PARALLEL, Framing, asset_choices, product_choices
from imagesession._drawing import AsyncDraws, Draws
from imagesession._images import (
    AsyncSavedImage,
    Picture,
    Pictures,
    SavedImage,
    optional_source,
    sources,
)
from imagesession._model.analysis import Analysis, Improvement
from imagesession._model.options import OptionKeywords
from imagesession._model.results import Results
from imagesession._plan.wishes import Wish
from imagesession._signatures import takes_options

if TYPE_CHECKING:
    from typing import Unpack

    from imagesession._model.progress import OnProgress

# What the packed presets know. One that is registered in their place may know more; `preset` takes
# any, and what is chosen is checked when it is used.
BackgroundType: TypeAlias = Literal["white", "transparent", "lifestyle"]
Angle: TypeAlias = Literal["front", "side", "three-quarter", "top"]
Lighting: TypeAlias = Literal["studio", "natural", "dramatic", "soft"]
AssetType: TypeAlias = Literal["icon", "illustration", "background", "hero", "button"]
Theme: TypeAlias = Literal["modern", "classic", "minimal", "playful"]
StylePreset: TypeAlias = Literal["flat", "3d", "outline", "filled"]
SizePreset: TypeAlias = Literal["small", "standard", "large"]


class Purposes(Draws):
    """
    Draws pictures for a purpose.
    """

    @overload
    def preset(
        self,
        name: str,
        description: str,
        *,
        choices: Mapping[str, str] | None = None,
        reference: Pictures = (),
        batch_count: None = None,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> SavedImage: ...

    @overload
    def preset(
        self,
        name: str,
        description: str,
        *,
        choices: Mapping[str, str] | None = None,
        reference: Pictures = (),
        batch_count: int,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Results[SavedImage]: ...

    @takes_options
    def preset(
        self,
        name: str,
        description: str,
        *,
        choices: Mapping[str, str] | None = None,
        reference: Pictures = (),
        batch_count: int | None = None,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> SavedImage | Results[SavedImage]:
        """
        Make a picture in the frame of a preset, yours or a packed one; see `imagesession.presets`.

        Args:
            name: The preset's name.
            description: What the picture is of.
            choices: What is chosen of the preset's parameters; the rest is as it says.
            reference: As in `generate`.
            batch_count: How many takes, 1 to 10, side by side; left out, there is one picture
                instead of results.
            intent_id: As in `generate`; takes are named by it with "/1" and so on.
            on_progress: As in `generate`; its `position` tells which picture it is about.
            **options: See `Options`; they win over what the preset asks for.

        Returns:
            The picture; with `batch_count`, results in order, an error where one failed.

        Raises:
            OptionError: There is no such preset, parameter or choice; nothing was sent.
            ImageSessionError: As for `generate`.
        """
        framing = _framing(name, description, choices, reference, options, intent_id=intent_id)
        return self._frame(framing, batch_count, on_progress)

    @overload
    def product(
        self,
        description: str,
        *,
        background_type: BackgroundType = "white",
        angle: Angle = "front",
        lighting: Lighting = "studio",
        reference: Pictures = (),
        batch_count: None = None,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> SavedImage: ...

    @overload
    def product(
        self,
        description: str,
        *,
        background_type: BackgroundType = "white",
        angle: Angle = "front",
        lighting: Lighting = "studio",
        reference: Pictures = (),
        batch_count: int,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Results[SavedImage]: ...

    @takes_options
    def product(
        self,
        description: str,
        *,
        background_type: BackgroundType = "white",
        angle: Angle = "front",
        lighting: Lighting = "studio",
        reference: Pictures = (),
        batch_count: int | None = None,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> SavedImage | Results[SavedImage]:
        """
        Make a product photograph; it is kept in a folder by the product's name.

        Args:
            description: The product, such as "ceramic coffee mug"; its folder is called so too.
            background_type: "white", "transparent" or "lifestyle".
            angle: "front", "side", "three-quarter" or "top".
            lighting: "studio", "natural", "dramatic" or "soft".
            reference: Pictures of the product to go by.
            batch_count: How many takes, 1 to 10, side by side; left out, there is one picture
                instead of results.
            intent_id: As in `generate`; takes are named by it with "/1" and so on.
            on_progress: As in `generate`; its `position` tells which picture it is about.
            **options: See `Options`.

        Returns:
            The picture; with `batch_count`, results in order, an error where one failed.

        Raises:
            OptionError: A choice is not one of the preset's; nothing was sent.
            ImageSessionError: As for `generate`.
        """
        choices = product_choices(background_type, angle, lighting)
        framing = _framing("product", description, choices, reference, options, intent_id=intent_id)
        return self._frame(framing, batch_count, on_progress)

    @takes_options
    def ui_asset(
        self,
        asset_type: AssetType,
        description: str,
        *,
        theme: Theme = "modern",
        style_preset: StylePreset = "flat",
        size_preset: SizePreset = "standard",
        reference: Pictures = (),
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> SavedImage:
        """
        Make an asset for a user interface; it is kept in a folder of its type.

        Args:
            asset_type: "icon", "illustration", "background", "hero" or "button".
            description: What it shows.
            theme: "modern", "classic", "minimal" or "playful".
            style_preset: "flat", "3d", "outline" or "filled".
            size_preset: "small", "standard" or "large"; the nearest size that the model takes.
            reference: Pictures to go by, such as an earlier asset of the same set.
            intent_id: As in `generate`.
            on_progress: As in `generate`.
            **options: See `Options`.

        Returns:
            The picture.

        Raises:
            OptionError: A choice is not one of the preset's; nothing was sent.
            ImageSessionError: As for `generate`.
        """
        choices = asset_choices(asset_type, theme, style_preset, size_preset)
        framing = _framing(
            "ui_asset", description, choices, reference, options, intent_id=intent_id
        )
        return self._last(self._desk.do(self._from_preset(framing), on_progress))

    def analyze(
        self,
        image: Picture | None = None,
        *,
        goals: str = "",
        model: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Analysis:
        """
        Have a picture looked at: one request to the mainline model that draws nothing.

        Args:
            image: The picture, as for `edit`.
            goals: What it is to be, if it should be looked at with something in mind.
            model: The mainline model that looks; left out, the session's or studio's choice.
            on_progress: As in `generate`.

        Returns:
            What was found, the most severe first.

        Raises:
            PictureError: There is no picture, or it cannot be used; nothing was sent.
            ReplyError: The answer is not in the form that was asked for.
            ImageSessionError: As for `generate`.
        """
        return self._desk.do(self._look(_looking(image, goals, model)), on_progress)

    @takes_options
    def improve(
        self,
        goals: str,
        *,
        image: Picture | None = None,
        preserve_elements: str = "",
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Improvement[SavedImage]:
        """
        Have a picture looked at, then mended: two requests.

        Args:
            goals: What it is to become, such as "more contrast, fit for a shop window".
            image: The picture, as for `edit`.
            preserve_elements: What must stay as it is.
            intent_id: As in `generate`. Given from the library, nothing is looked at again, and
                what was found is told with the picture's own turn.
            on_progress: As in `generate`.
            **options: See `Options`.

        Returns:
            What was found, and the picture that came of the edit that was planned from it.

        Raises:
            PictureError: There is no picture, or it cannot be used; nothing was sent.
            ImageSessionError: As for `generate`. What was found is kept even if the edit fails.
        """
        wish = _improving(goals, image, options, intent_id)
        flow = self._improve(wish, preserve_elements)
        found, turn = self._desk.do(flow, on_progress)
        return Improvement(analysis=found, image=self._last(turn))

    def _frame(
        self, framing: Framing, batch_count: int | None, on_progress: OnProgress | None
    ) -> SavedImage | Results[SavedImage]:
        if batch_count is None:
            return self._last(self._desk.do(self._from_preset(framing), on_progress))
        flows = self._desk.do(self._takes_from_preset(framing, batch_count))
        return self._results(
            self._desk.gather(flows, concurrency=PARALLEL, on_progress=on_progress)
        )


class AsyncPurposes(AsyncDraws):
    """
    Same as `Purposes`, but awaits.
    """

    @overload
    async def preset(
        self,
        name: str,
        description: str,
        *,
        choices: Mapping[str, str] | None = None,
        reference: Pictures = (),
        batch_count: None = None,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncSavedImage: ...

    @overload
    async def preset(
        self,
        name: str,
        description: str,
        *,
        choices: Mapping[str, str] | None = None,
        reference: Pictures = (),
        batch_count: int,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Results[AsyncSavedImage]: ...

    @takes_options
    async def preset(
        self,
        name: str,
        description: str,
        *,
        choices: Mapping[str, str] | None = None,
        reference: Pictures = (),
        batch_count: int | None = None,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncSavedImage | Results[AsyncSavedImage]:
        """
        Same as `Studio.preset`, but awaits.
        """
        framing = _framing(name, description, choices, reference, options, intent_id=intent_id)
        return await self._frame(framing, batch_count, on_progress)

    @overload
    async def product(
        self,
        description: str,
        *,
        background_type: BackgroundType = "white",
        angle: Angle = "front",
        lighting: Lighting = "studio",
        reference: Pictures = (),
        batch_count: None = None,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncSavedImage: ...

    @overload
    async def product(
        self,
        description: str,
        *,
        background_type: BackgroundType = "white",
        angle: Angle = "front",
        lighting: Lighting = "studio",
        reference: Pictures = (),
        batch_count: int,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Results[AsyncSavedImage]: ...

    @takes_options
    async def product(
        self,
        description: str,
        *,
        background_type: BackgroundType = "white",
        angle: Angle = "front",
        lighting: Lighting = "studio",
        reference: Pictures = (),
        batch_count: int | None = None,
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncSavedImage | Results[AsyncSavedImage]:
        """
        Same as `Studio.product`, but awaits.
        """
        choices = product_choices(background_type, angle, lighting)
        framing = _framing("product", description, choices, reference, options, intent_id=intent_id)
        return await self._frame(framing, batch_count, on_progress)

    @takes_options
    async def ui_asset(
        self,
        asset_type: AssetType,
        description: str,
        *,
        theme: Theme = "modern",
        style_preset: StylePreset = "flat",
        size_preset: SizePreset = "standard",
        reference: Pictures = (),
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncSavedImage:
        """
        Same as `Studio.ui_asset`, but awaits.
        """
        choices = asset_choices(asset_type, theme, style_preset, size_preset)
        framing = _framing(
            "ui_asset", description, choices, reference, options, intent_id=intent_id
        )
        return self._last(await self._desk.do(self._from_preset(framing), on_progress))

    async def analyze(
        self,
        image: Picture | None = None,
        *,
        goals: str = "",
        model: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Analysis:
        """
        Same as `Studio.analyze`, but awaits.
        """
        return await self._desk.do(self._look(_looking(image, goals, model)), on_progress)

    @takes_options
    async def improve(
        self,
        goals: str,
        *,
        image: Picture | None = None,
        preserve_elements: str = "",
        intent_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Improvement[AsyncSavedImage]:
        """
        Same as `Studio.improve`, but awaits.
        """
        wish = _improving(goals, image, options, intent_id)
        flow = self._improve(wish, preserve_elements)
        found, turn = await self._desk.do(flow, on_progress)
        return Improvement(analysis=found, image=self._last(turn))

    async def _frame(
        self, framing: Framing, batch_count: int | None, on_progress: OnProgress | None
    ) -> AsyncSavedImage | Results[AsyncSavedImage]:
        if batch_count is None:
            return self._last(await self._desk.do(self._from_preset(framing), on_progress))
        flows = await self._desk.do(self._takes_from_preset(framing, batch_count))
        return self._results(
            await self._desk.gather(flows, concurrency=PARALLEL, on_progress=on_progress)
        )


# --- what both share ---------------------------------------------------------------------------


def _framing(
    name: str,
    description: str,
    choices: Mapping[str, str] | None,
    reference: Pictures,
    options: OptionKeywords,
    *,
    intent_id: str | None,
) -> Framing:
    return Framing(
        preset=name,
        description=description,
        choices=choices or {},
        references=sources(reference),
        options=dict(options),
        intent_id=intent_id,
    )


def _looking(image: Picture | None, goals: str, model: str | None) -> Wish:
    choices: dict[str, Any] = {} if model is None else {"model": model}
    return Wish(prompt=goals, choices=choices, image=optional_source(image))


def _improving(
    goals: str, image: Picture | None, options: OptionKeywords, intent_id: str | None
) -> Wish:
    return Wish(
        prompt=goals, choices=dict(options), image=optional_source(image), intent_id=intent_id
    )

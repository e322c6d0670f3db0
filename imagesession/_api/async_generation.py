"""
The verbs that make images, awaited: the same methods as in `generation`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Generic, overload

import attrs

from imagesession._api import workflows
from imagesession._api.signatures import public_base
from imagesession._api.types import (
    AssetType,
    GenerateParams,
    ImageInput,
    ImageInputs,
    ImproveParams,
    PresetParams,
    ProductParams,
    UIAssetParams,
    VariationParams,
    takes_generate_params,
    takes_improve_params,
    takes_options,
    takes_preset_params,
    takes_product_params,
    takes_ui_asset_params,
    takes_variation_params,
    to_source_or_none,
    to_sources,
)
from imagesession._api.workflows import DEFAULT_CONCURRENCY, ImageT, PresetCall
from imagesession._drive.desk import AsyncDesk
from imagesession._model.analysis import Analysis, Improvement
from imagesession._model.options import OptionKeywords
from imagesession._model.partials import PartialImage
from imagesession._model.results import Results
from imagesession._model.turns import Turn
from imagesession._plan.sessions import Place
from imagesession._plan.steps import Flow
from imagesession._plan.wishes import Wish

if TYPE_CHECKING:
    from typing import Unpack

    from imagesession._model.estimates import Estimate
    from imagesession._model.progress import OnProgress
    from imagesession._pixels.masks import Mask


@public_base
class AsyncGenerationVerbs(ABC, Generic[ImageT]):
    """
    Same as `GenerationVerbs`, but awaits.
    """

    _runtime: AsyncDesk

    @abstractmethod
    def _branch_head(self) -> Flow[Place | None]:
        """
        Find where the next turn grows; None for an image outside all sessions.
        """

    @abstractmethod
    def _wrap(self, turn: Turn) -> ImageT:
        """
        Return the last image of a turn.
        """

    @takes_generate_params
    async def generate(
        self,
        prompt: str,
        *,
        mask: ImageInput | Mask | None = None,
        **options: Unpack[GenerateParams],
    ) -> ImageT:
        """
        Same as `Studio.generate`, but awaits.
        """
        request = workflows.build_request(prompt, options)
        return await self._generate(
            attrs.evolve(request, mask=to_source_or_none(mask)), options.get("on_progress")
        )

    @takes_generate_params
    def stream(
        self,
        prompt: str,
        *,
        partial_images: int = 2,
        mask: ImageInput | Mask | None = None,
        **options: Unpack[GenerateParams],
    ) -> AsyncGenerator[PartialImage | ImageT, None]:
        """
        Same as `Studio.stream`, but iterated with `async for`.
        """
        request = attrs.evolve(
            workflows.build_request(prompt, options),
            mask=to_source_or_none(mask),
            partial_images=partial_images,
        )
        workflow = workflows.generate_at(request, self._runtime.terms, self._branch_head)
        return self._runtime.stream(workflow, self._wrap, options.get("on_progress"))

    @takes_generate_params
    async def edit(
        self,
        prompt: str,
        *,
        image: ImageInput | None = None,
        mask: ImageInput | Mask | None = None,
        fit: bool = False,
        keep_outside: bool = False,
        markup: ImageInput | None = None,
        **options: Unpack[GenerateParams],
    ) -> ImageT:
        """
        Same as `Studio.edit`, but awaits.
        """
        request = attrs.evolve(
            workflows.build_request(prompt, options),
            edits=True,
            image=to_source_or_none(image),
            mask=to_source_or_none(mask),
            markup=to_source_or_none(markup),
            fit=fit,
            keep_outside=keep_outside,
            kind="edit",
        )
        return await self._generate(request, options.get("on_progress"))

    @overload
    async def variations(
        self, prompt: str = "", *, n: None = None, **options: Unpack[VariationParams]
    ) -> ImageT: ...

    @overload
    async def variations(
        self, prompt: str = "", *, n: int, **options: Unpack[VariationParams]
    ) -> Results[ImageT]: ...

    @takes_variation_params
    async def variations(
        self, prompt: str = "", *, n: int | None = None, **options: Unpack[VariationParams]
    ) -> ImageT | Results[ImageT]:
        """
        Same as `Studio.variations`, but awaits.
        """
        request = workflows.build_variation(prompt, options)
        return await self._generate_several(request, n, options.get("on_progress"))

    @overload
    async def preset(
        self, name: str, subject: str, *, n: None = None, **options: Unpack[PresetParams]
    ) -> ImageT: ...

    @overload
    async def preset(
        self, name: str, subject: str, *, n: int, **options: Unpack[PresetParams]
    ) -> Results[ImageT]: ...

    @takes_preset_params
    async def preset(
        self, name: str, subject: str, *, n: int | None = None, **options: Unpack[PresetParams]
    ) -> ImageT | Results[ImageT]:
        """
        Same as `Studio.preset`, but awaits.
        """
        call = workflows.build_preset_call(name, subject, options)
        return await self._generate_several(call, n, options.get("on_progress"))

    @overload
    async def product(
        self, description: str, *, n: None = None, **options: Unpack[ProductParams]
    ) -> ImageT: ...

    @overload
    async def product(
        self, description: str, *, n: int, **options: Unpack[ProductParams]
    ) -> Results[ImageT]: ...

    @takes_product_params
    async def product(
        self, description: str, *, n: int | None = None, **options: Unpack[ProductParams]
    ) -> ImageT | Results[ImageT]:
        """
        Same as `Studio.product`, but awaits.
        """
        call = workflows.build_product_call(description, options)
        return await self._generate_several(call, n, options.get("on_progress"))

    @overload
    async def ui_asset(
        self,
        asset_type: AssetType,
        description: str,
        *,
        n: None = None,
        **options: Unpack[UIAssetParams],
    ) -> ImageT: ...

    @overload
    async def ui_asset(
        self, asset_type: AssetType, description: str, *, n: int, **options: Unpack[UIAssetParams]
    ) -> Results[ImageT]: ...

    @takes_ui_asset_params
    async def ui_asset(
        self,
        asset_type: AssetType,
        description: str,
        *,
        n: int | None = None,
        **options: Unpack[UIAssetParams],
    ) -> ImageT | Results[ImageT]:
        """
        Same as `Studio.ui_asset`, but awaits.
        """
        call = workflows.build_ui_asset_call(asset_type, description, options)
        return await self._generate_several(call, n, options.get("on_progress"))

    async def analyze(
        self,
        image: ImageInput | None = None,
        *,
        goals: str = "",
        model: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Analysis:
        """
        Same as `Studio.analyze`, but awaits.
        """
        request = workflows.build_analysis(goals, image, model)
        workflow = workflows.analyze_at(request, self._runtime.terms, self._branch_head)
        return await self._runtime.do(workflow, on_progress)

    @takes_improve_params
    async def improve(
        self,
        goals: str,
        *,
        image: ImageInput | None = None,
        preserve_elements: str = "",
        **options: Unpack[ImproveParams],
    ) -> Improvement[ImageT]:
        """
        Same as `Studio.improve`, but awaits.
        """
        request = workflows.build_request(goals, options, ImproveParams)
        workflow = workflows.improve_at(
            attrs.evolve(request, image=to_source_or_none(image)),
            preserve_elements,
            self._runtime.terms,
            self._branch_head,
        )
        analysis, turn = await self._runtime.do(workflow, options.get("on_progress"))
        return Improvement(analysis=analysis, image=self._wrap(turn))

    @takes_options
    async def estimate(
        self,
        prompt: str = "",
        *,
        image: ImageInput | None = None,
        reference: ImageInputs = (),
        mask: ImageInput | Mask | None = None,
        partial_images: int = 0,
        n: int = 1,
        batch: bool = False,
        **options: Unpack[OptionKeywords],
    ) -> Estimate:
        """
        Same as `Studio.estimate`, but awaits.
        """
        request = Wish(
            prompt=prompt,
            choices=dict[str, Any](options),
            references=to_sources(reference),
            image=to_source_or_none(image),
            mask=to_source_or_none(mask),
            partial_images=partial_images,
        )
        terms, head = self._runtime.terms, self._branch_head
        return await self._runtime.do(workflows.estimate_at(request, n, terms, head, batch=batch))

    async def _generate(self, call: Wish | PresetCall, on_progress: OnProgress | None) -> ImageT:
        workflow = workflows.generate_at(call, self._runtime.terms, self._branch_head)
        return self._wrap(await self._runtime.do(workflow, on_progress))

    async def _generate_several(
        self, call: Wish | PresetCall, n: int | None, on_progress: OnProgress | None
    ) -> ImageT | Results[ImageT]:
        if n is None:
            return await self._generate(call, on_progress)
        plan = workflows.plan_variations(call, n, self._runtime.terms, self._branch_head)
        outcomes = await self._runtime.gather(
            await self._runtime.do(plan), concurrency=DEFAULT_CONCURRENCY, on_progress=on_progress
        )
        return workflows.to_results(outcomes, self._wrap)

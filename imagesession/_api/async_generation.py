"""
The verbs that make images, awaited: the same methods as in `generation`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Generic, Literal, overload

from imagesession._api import requests, workflows
from imagesession._api.requests import PresetCall
from imagesession._api.results import Results
from imagesession._api.signatures import public_base
from imagesession._api.types import (
    STREAMED_PARTIALS,
    Anchor,
    AssetType,
    EditParams,
    EstimateParams,
    GenerateParams,
    ImageInput,
    ImproveParams,
    PresetParams,
    ProductParams,
    RequestParams,
    StreamParams,
    UIAssetParams,
    VariationParams,
    takes_keywords,
)
from imagesession._api.workflows import DEFAULT_CONCURRENCY, ImageT
from imagesession._domain.analysis import Analysis, Improvement
from imagesession._domain.model_catalog import CompletionWindow
from imagesession._domain.options import Size
from imagesession._domain.partial_image import PartialImage
from imagesession._domain.reports import PendingRequest
from imagesession._domain.turn import Turn
from imagesession._engine.effects import Workflow
from imagesession._engine.request import GenerateRequest
from imagesession._engine.sessions import BranchHead
from imagesession._runtime.runtime import AsyncRuntime

if TYPE_CHECKING:
    from typing import Unpack

    from imagesession._domain.estimate import CostEstimate
    from imagesession._domain.progress import OnProgress


@public_base
class AsyncGenerationVerbs(ABC, Generic[ImageT]):
    """
    Same as `GenerationVerbs`, but awaits.
    """

    _runtime: AsyncRuntime

    @abstractmethod
    def _branch_head(self) -> Workflow[BranchHead | None]: ...
    @abstractmethod
    def _wrap(self, turn: Turn, position: int = -1) -> ImageT: ...
    @takes_keywords(GenerateParams)
    async def generate(self, prompt: str, **options: Unpack[GenerateParams]) -> ImageT:
        """
        Same as `Studio.generate`, but awaits.
        """
        request = requests.build_request(prompt, options, GenerateParams)
        return await self._generate(request, options.get("on_progress"))

    @takes_keywords(GenerateParams)
    async def submit(
        self,
        prompt: str,
        *,
        within: Literal["2h", "8h"] = "8h",
        **options: Unpack[GenerateParams],
    ) -> PendingRequest:
        """
        Same as `Studio.submit`, but awaits.
        """
        request = requests.build_submission(prompt, within, options)
        workflow = workflows.submit_at(request, self._runtime.config, self._branch_head)
        return await self._runtime.run(workflow, options.get("on_progress"))

    @takes_keywords(StreamParams, partial_images=STREAMED_PARTIALS)
    def stream(
        self, prompt: str, **options: Unpack[StreamParams]
    ) -> AsyncGenerator[PartialImage | ImageT, None]:
        """
        Same as `Studio.stream`, but iterated with `async for`.
        """
        request = requests.build_stream(prompt, options)
        workflow = workflows.generate_at(request, self._runtime.config, self._branch_head)
        return self._runtime.stream(workflow, self._wrap, options.get("on_progress"))

    @takes_keywords(EditParams)
    async def edit(self, prompt: str, **options: Unpack[EditParams]) -> ImageT:
        """
        Same as `Studio.edit`, but awaits.
        """
        request = requests.build_edit(prompt, options)
        return await self._generate(request, options.get("on_progress"))

    @takes_keywords(RequestParams)
    async def outpaint(
        self,
        image: ImageInput | None = None,
        *,
        to: Size,
        anchor: Anchor = "center",
        prompt: str = "",
        **options: Unpack[RequestParams],
    ) -> ImageT:
        """
        Same as `Studio.outpaint`, but awaits.
        """
        request = requests.build_request(prompt, {**options, "image": image}, EditParams)
        config, head = self._runtime.config, self._branch_head
        workflow = workflows.outpaint_at(request, to, anchor, config, head)
        return self._wrap(await self._runtime.run(workflow, options.get("on_progress")))

    @overload
    async def variations(
        self, prompt: str = "", *, n: None = None, **options: Unpack[VariationParams]
    ) -> ImageT: ...

    @overload
    async def variations(
        self, prompt: str = "", *, n: int, **options: Unpack[VariationParams]
    ) -> Results[ImageT]: ...

    @takes_keywords(VariationParams)
    async def variations(
        self, prompt: str = "", *, n: int | None = None, **options: Unpack[VariationParams]
    ) -> ImageT | Results[ImageT]:
        """
        Same as `Studio.variations`, but awaits.
        """
        request = requests.build_variation(prompt, options)
        return await self._generate_several(request, n, options.get("on_progress"))

    @overload
    async def preset(
        self, name: str, subject: str, *, n: None = None, **options: Unpack[PresetParams]
    ) -> ImageT: ...

    @overload
    async def preset(
        self, name: str, subject: str, *, n: int, **options: Unpack[PresetParams]
    ) -> Results[ImageT]: ...

    @takes_keywords(PresetParams)
    async def preset(
        self, name: str, subject: str, *, n: int | None = None, **options: Unpack[PresetParams]
    ) -> ImageT | Results[ImageT]:
        """
        Same as `Studio.preset`, but awaits.
        """
        call = requests.build_preset_call(name, subject, options)
        return await self._generate_several(call, n, options.get("on_progress"))

    @overload
    async def product(
        self, description: str, *, n: None = None, **options: Unpack[ProductParams]
    ) -> ImageT: ...

    @overload
    async def product(
        self, description: str, *, n: int, **options: Unpack[ProductParams]
    ) -> Results[ImageT]: ...

    @takes_keywords(ProductParams)
    async def product(
        self, description: str, *, n: int | None = None, **options: Unpack[ProductParams]
    ) -> ImageT | Results[ImageT]:
        """
        Same as `Studio.product`, but awaits.
        """
        call = requests.build_product_call(description, options)
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

    @takes_keywords(UIAssetParams)
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
        call = requests.build_ui_asset_call(asset_type, description, options)
        return await self._generate_several(call, n, options.get("on_progress"))

    async def analyze(
        self,
        image: ImageInput | None = None,
        *,
        goals: str = "",
        model: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - same as the sync version
        on_progress: OnProgress | None = None,
    ) -> Analysis:
        """
        Same as `Studio.analyze`, but awaits.
        """
        request = requests.build_analysis(goals, image, model, timeout)
        workflow = workflows.analyze_at(request, self._runtime.config, self._branch_head)
        return await self._runtime.run(workflow, on_progress)

    @takes_keywords(ImproveParams)
    async def improve(
        self, goals: str, *, preserve_elements: str = "", **options: Unpack[ImproveParams]
    ) -> Improvement[ImageT]:
        """
        Same as `Studio.improve`, but awaits.
        """
        request = requests.build_request(goals, options, ImproveParams)
        workflow = workflows.improve_at(
            request, preserve_elements, self._runtime.config, self._branch_head
        )
        analysis, turn = await self._runtime.run(workflow, options.get("on_progress"))
        return Improvement(analysis=analysis, image=self._wrap(turn))

    @takes_keywords(EstimateParams)
    async def estimate(
        self,
        prompt: str = "",
        *,
        n: int = 1,
        batch: bool = False,
        within: CompletionWindow = "soonest",
        **options: Unpack[EstimateParams],
    ) -> CostEstimate:
        """
        Same as `Studio.estimate`, but awaits.
        """
        request = requests.build_request(prompt, options, EstimateParams)
        config, head = self._runtime.config, self._branch_head
        return await self._runtime.run(
            workflows.estimate_at(request, n, config, head, batch=batch, within=within)
        )

    async def _generate(
        self, call: GenerateRequest | PresetCall, on_progress: OnProgress | None
    ) -> ImageT:
        workflow = workflows.generate_at(call, self._runtime.config, self._branch_head)
        return self._wrap(await self._runtime.run(workflow, on_progress))

    async def _generate_several(
        self,
        call: GenerateRequest | PresetCall,
        n: int | None,
        on_progress: OnProgress | None,
    ) -> ImageT | Results[ImageT]:
        if n is None:
            return await self._generate(call, on_progress)
        plan = workflows.plan_variations(call, n, self._runtime.config, self._branch_head)
        outcomes = await self._runtime.gather(
            await self._runtime.run(plan), concurrency=DEFAULT_CONCURRENCY, on_progress=on_progress
        )
        return workflows.to_variations(outcomes, n, self._wrap)

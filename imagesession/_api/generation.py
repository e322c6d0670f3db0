"""
The verbs that make images: the same on a studio, for single ones, and on a session, in its context.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import TYPE_CHECKING, Generic, overload

from imagesession._api import workflows
from imagesession._api.signatures import public_base
from imagesession._api.types import (
    STREAMED_PARTIALS,
    AssetType,
    EditParams,
    EstimateParams,
    GenerateParams,
    ImageInput,
    ImproveParams,
    PresetParams,
    ProductParams,
    StreamParams,
    UIAssetParams,
    VariationParams,
    takes_keywords,
)
from imagesession._api.workflows import DEFAULT_CONCURRENCY, ImageT, PresetCall
from imagesession._domain.analysis import Analysis, Improvement
from imagesession._domain.partial_image import PartialImage
from imagesession._domain.results import Results
from imagesession._domain.turn import Turn
from imagesession._engine.effects import Workflow
from imagesession._engine.request import GenerateRequest
from imagesession._engine.sessions import BranchHead
from imagesession._runtime.runtime import Runtime

if TYPE_CHECKING:
    from typing import Unpack

    from imagesession._domain.estimate import CostEstimate
    from imagesession._domain.progress import OnProgress


@public_base
class GenerationVerbs(ABC, Generic[ImageT]):
    """
    Makes images. A class that has these verbs says where its turns grow, and what an image is.
    """

    _runtime: Runtime

    @abstractmethod
    def _branch_head(self) -> Workflow[BranchHead | None]:
        """
        Find where the next turn grows; None for an image outside all sessions.
        """

    @abstractmethod
    def _wrap(self, turn: Turn) -> ImageT:
        """
        Return the last image of a turn.
        """

    @takes_keywords(GenerateParams)
    def generate(self, prompt: str, **options: Unpack[GenerateParams]) -> ImageT:
        """
        Make an image; on a session, one that continues the conversation.

        When this returns, the image and its record are on stable storage.

        Args:
            prompt: What to make or change; up to 32,000 characters.
            mask: What may change in the first reference, or in the session's last image: a
                `Mask`, or an image of the same size that is transparent or white there.
            references: Images to go by, up to 16 of at most 25 MB: paths, ids of kept images,
                bytes, open files, PIL images or kept images. Any format that Pillow reads.
            idempotency_key: A name of your own for this image. A second call under the same name
                returns the image from the library, and sends nothing.
            on_progress: Called with a `ProgressEvent` as the call gets on, twice a second while it
                waits; `print` will do.
            **options: See `GenerateOptions`.

        Returns:
            The image; if the reply brought several, the last of them. All are kept.

        Raises:
            InvalidRequestError: The call has to change; nothing was sent.
            BudgetExceededError: It might cost more than the budget leaves; nothing was sent.
            RefusalError: The model or a safety system declined.
            TransientError: The provider turned the request away; nothing was billed.
            OutcomeUnknownError: The response was lost; the request is not sent again by itself.
            ImageSessionError: See `imagesession.errors` for all that can happen.
        """
        request = workflows.build_request(prompt, options, GenerateParams)
        return self._generate(request, options.get("on_progress"))

    @takes_keywords(StreamParams, partial_images=STREAMED_PARTIALS)
    def stream(
        self, prompt: str, **options: Unpack[StreamParams]
    ) -> Generator[PartialImage | ImageT, None, None]:
        """
        Make an image, and yield unfinished ones on the way.

        Takes and raises the same as `generate`; nothing is sent before the first event is
        requested.

        Args:
            prompt: What to make or change.
            partial_images: How many unfinished images to request, 0 to 3; each is billed as
                100 more tokens. There may be fewer, or one more.
            mask: As in `generate`.
            references: As in `generate`.
            idempotency_key: As in `generate`; what was made before comes without unfinished ones.
            on_progress: As in `generate`.
            **options: See `GenerateOptions`.

        Yields:
            The unfinished images, then the one that is kept.
        """
        request = workflows.build_stream(prompt, options)
        workflow = workflows.generate_at(request, self._runtime.config, self._branch_head)
        return self._runtime.stream(workflow, self._wrap, options.get("on_progress"))

    @takes_keywords(EditParams)
    def edit(self, prompt: str, **options: Unpack[EditParams]) -> ImageT:
        """
        Change an image.

        Args:
            prompt: What to change.
            image: The image: a path, the id of a kept one, bytes, an open file, a PIL image or
                a kept image, of at most 25 MB and 64 million pixels. On a session, left out, it
                is the last image.
            mask: What may change: a `Mask`, or an image of the same size that is transparent
                or white there. Checked before anything is sent.
            resize_mask: Whether to rescale a mask or markup that has another size.
            preserve_unmasked: Whether to keep, beside the untouched reply, an image whose pixels
                outside the mask are the original's, bit for bit; models change them more often
                than not. That one is returned, and refined by the next turn.
            markup: A drawing on a transparent ground that lies over the image and shows where
                and what to change; taken by the models of GPT Image 2.5 and 2.6.
            references: Further images to go by.
            idempotency_key: As in `generate`.
            on_progress: As in `generate`.
            **options: See `GenerateOptions`.

        Returns:
            The changed image.

        Raises:
            InvalidImageError: There is no image, or it or its mask cannot be used; nothing was
                sent.
            ImageSessionError: As for `generate`.
        """
        request = workflows.build_edit(prompt, options)
        return self._generate(request, options.get("on_progress"))

    @overload
    def variations(
        self, prompt: str = "", *, n: None = None, **options: Unpack[VariationParams]
    ) -> ImageT: ...

    @overload
    def variations(
        self, prompt: str = "", *, n: int, **options: Unpack[VariationParams]
    ) -> Results[ImageT]: ...

    @takes_keywords(VariationParams)
    def variations(
        self, prompt: str = "", *, n: int | None = None, **options: Unpack[VariationParams]
    ) -> ImageT | Results[ImageT]:
        """
        Make other images of one prompt, or of one image, side by side.

        On a session all of them grow on the same image; `checkout` or `branch` goes on with
        one of them.

        Args:
            prompt: What they show; with an image, how they differ from it (may be left out).
            image: The image that is varied; None to make them from the prompt alone.
            n: How many, 1 to 10, each a request of its own that is billed; left out, there is one
                image instead of results.
            references: As in `generate`.
            idempotency_key: As in `generate`; with `n`, the images are named by it with "/1" and so
                on.
            on_progress: As in `generate`; its `position` says which image it is about.
            **options: See `GenerateOptions`.

        Returns:
            The image; with `n`, results in order, an error where one failed.

        Raises:
            InvalidRequestError: The call has to change; nothing was sent.
        """
        request = workflows.build_variation(prompt, options)
        return self._generate_several(request, n, options.get("on_progress"))

    @overload
    def preset(
        self, name: str, subject: str, *, n: None = None, **options: Unpack[PresetParams]
    ) -> ImageT: ...

    @overload
    def preset(
        self, name: str, subject: str, *, n: int, **options: Unpack[PresetParams]
    ) -> Results[ImageT]: ...

    @takes_keywords(PresetParams)
    def preset(
        self, name: str, subject: str, *, n: int | None = None, **options: Unpack[PresetParams]
    ) -> ImageT | Results[ImageT]:
        """
        Make an image from a preset, yours or a packed one; see `imagesession.presets`.

        Args:
            name: The preset's name.
            subject: What the image is of.
            params: Values of the preset's parameters; the rest have their defaults.
            n: How many, 1 to 10, side by side; left out, there is one image instead of results.
            references: As in `generate`.
            idempotency_key: As in `generate`; with `n`, the images are named by it with "/1" and so
                on.
            on_progress: As in `generate`; its `position` says which image it is about.
            **options: See `GenerateOptions`; they win over what the preset says.

        Returns:
            The image; with `n`, results in order, an error where one failed.

        Raises:
            InvalidOptionError: There is no such preset, parameter or value; nothing was sent.
            ImageSessionError: As for `generate`.
        """
        call = workflows.build_preset_call(name, subject, options)
        return self._generate_several(call, n, options.get("on_progress"))

    @overload
    def product(
        self, description: str, *, n: None = None, **options: Unpack[ProductParams]
    ) -> ImageT: ...

    @overload
    def product(
        self, description: str, *, n: int, **options: Unpack[ProductParams]
    ) -> Results[ImageT]: ...

    @takes_keywords(ProductParams)
    def product(
        self, description: str, *, n: int | None = None, **options: Unpack[ProductParams]
    ) -> ImageT | Results[ImageT]:
        """
        Make a product photograph; it is kept in a folder by the product's name.

        Args:
            description: The product, such as "ceramic coffee mug"; its folder is called so too.
            n: How many, 1 to 10, side by side; left out, there is one image instead of results.
            background_type: "white", "transparent" or "lifestyle".
            angle: "front", "side", "three-quarter" or "top".
            lighting: "studio", "natural", "dramatic" or "soft".
            references: Images of the product to go by.
            idempotency_key: As in `generate`; with `n`, the images are named by it with "/1" and so
                on.
            on_progress: As in `generate`; its `position` says which image it is about.
            **options: See `GenerateOptions`.

        Returns:
            The image; with `n`, results in order, an error where one failed.

        Raises:
            InvalidOptionError: A value is not one of the preset's; nothing was sent.
            ImageSessionError: As for `generate`.
        """
        call = workflows.build_product_call(description, options)
        return self._generate_several(call, n, options.get("on_progress"))

    @overload
    def ui_asset(
        self,
        asset_type: AssetType,
        description: str,
        *,
        n: None = None,
        **options: Unpack[UIAssetParams],
    ) -> ImageT: ...

    @overload
    def ui_asset(
        self, asset_type: AssetType, description: str, *, n: int, **options: Unpack[UIAssetParams]
    ) -> Results[ImageT]: ...

    @takes_keywords(UIAssetParams)
    def ui_asset(
        self,
        asset_type: AssetType,
        description: str,
        *,
        n: int | None = None,
        **options: Unpack[UIAssetParams],
    ) -> ImageT | Results[ImageT]:
        """
        Make an asset for a user interface; it is kept in a folder of its type.

        Args:
            asset_type: "icon", "illustration", "background", "hero" or "button".
            description: What it shows.
            n: How many, 1 to 10, side by side; left out, there is one image instead of results.
            theme: "modern", "classic", "minimal" or "playful".
            style_preset: "flat", "3d", "outline" or "filled".
            size_preset: "small", "standard" or "large"; the nearest size that the model takes.
            references: Images to go by, such as an earlier asset of the same set.
            idempotency_key: As in `generate`; with `n`, the images are named by it with "/1" and so
                on.
            on_progress: As in `generate`; its `position` says which image it is about.
            **options: See `GenerateOptions`.

        Returns:
            The image; with `n`, results in order, an error where one failed.

        Raises:
            InvalidOptionError: A value is not one of the preset's; nothing was sent.
            ImageSessionError: As for `generate`.
        """
        call = workflows.build_ui_asset_call(asset_type, description, options)
        return self._generate_several(call, n, options.get("on_progress"))

    def analyze(
        self,
        image: ImageInput | None = None,
        *,
        goals: str = "",
        model: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Analysis:
        """
        Analyze an image: one request to the mainline model, which draws nothing.

        Args:
            image: The image, as for `edit`.
            goals: What the image is for, if it is to be judged by that.
            model: The mainline model that analyzes; left out, the session's or studio's choice.
            on_progress: As in `generate`.

        Returns:
            The findings, the most severe first.

        Raises:
            InvalidImageError: There is no image, or it cannot be used; nothing was sent.
            InvalidResponseError: The response does not have the requested form.
            ImageSessionError: As for `generate`.
        """
        request = workflows.build_analysis(goals, image, model)
        workflow = workflows.analyze_at(request, self._runtime.config, self._branch_head)
        return self._runtime.run(workflow, on_progress)

    @takes_keywords(ImproveParams)
    def improve(
        self, goals: str, *, preserve_elements: str = "", **options: Unpack[ImproveParams]
    ) -> Improvement[ImageT]:
        """
        Analyze an image, then edit it: two requests.

        Args:
            goals: What it is to become, such as "more contrast, fit for a shop window".
            image: The image, as for `edit`.
            preserve_elements: What must stay as it is.
            idempotency_key: As in `generate`. An image from the library is not analyzed again; its
                findings come with the image's own turn.
            on_progress: As in `generate`.
            **options: See `GenerateOptions`.

        Returns:
            The findings, and the image of the edit that was planned from them.

        Raises:
            InvalidImageError: There is no image, or it cannot be used; nothing was sent.
            ImageSessionError: As for `generate`. The findings are kept even if the edit fails.
        """
        request = workflows.build_request(goals, options, ImproveParams)
        workflow = workflows.improve_at(
            request, preserve_elements, self._runtime.config, self._branch_head
        )
        analysis, turn = self._runtime.run(workflow, options.get("on_progress"))
        return Improvement(analysis=analysis, image=self._wrap(turn))

    @takes_keywords(EstimateParams)
    def estimate(
        self,
        prompt: str = "",
        *,
        n: int = 1,
        batch: bool = False,
        **options: Unpack[EstimateParams],
    ) -> CostEstimate:
        """
        Estimate what an image could cost, before anything is sent; on a session, as its next turn.

        Args:
            prompt: As for `generate`.
            image: As for `edit`.
            references: As for `generate`.
            mask: As for `generate`.
            partial_images: As for `stream`.
            n: How many such images.
            batch: Whether they are made in a batch, at half the price; on a studio alone.
            **options: See `GenerateOptions`; naming quality and size narrows the range.

        Returns:
            The least and the most in US dollars, and what that rests on.

        Raises:
            InvalidRequestError: The call has to change.
        """
        request = workflows.build_request(prompt, options, EstimateParams)
        config, head = self._runtime.config, self._branch_head
        return self._runtime.run(workflows.estimate_at(request, n, config, head, batch=batch))

    def _generate(
        self, call: GenerateRequest | PresetCall, on_progress: OnProgress | None
    ) -> ImageT:
        workflow = workflows.generate_at(call, self._runtime.config, self._branch_head)
        return self._wrap(self._runtime.run(workflow, on_progress))

    def _generate_several(
        self, call: GenerateRequest | PresetCall, n: int | None, on_progress: OnProgress | None
    ) -> ImageT | Results[ImageT]:
        if n is None:
            return self._generate(call, on_progress)
        plan = workflows.plan_variations(call, n, self._runtime.config, self._branch_head)
        outcomes = self._runtime.gather(
            self._runtime.run(plan), concurrency=DEFAULT_CONCURRENCY, on_progress=on_progress
        )
        return workflows.to_results(outcomes, self._wrap)

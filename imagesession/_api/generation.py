"""
The verbs that make images: on a studio standalone ones, on a session ones in its context.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
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
from imagesession._runtime.runtime import Runtime

if TYPE_CHECKING:
    from typing import Unpack

    from imagesession._domain.estimate import CostEstimate
    from imagesession._domain.progress import OnProgress


@public_base
class GenerationVerbs(ABC, Generic[ImageT]):
    """
    The verbs that make images. A subclass defines where new turns are added, and the image type.
    """

    _runtime: Runtime

    @abstractmethod
    def _branch_head(self) -> Workflow[BranchHead | None]:
        """
        Find the branch head that the next turn continues; None for a standalone image.
        """

    @abstractmethod
    def _wrap(self, turn: Turn, position: int = -1) -> ImageT:
        """
        Return an image of a turn, by default the last one.
        """

    @takes_keywords(GenerateParams)
    def generate(self, prompt: str, **options: Unpack[GenerateParams]) -> ImageT:
        """
        Make an image; on a session, one that continues the conversation.

        When this returns, the image and its record are on stable storage.

        Args:
            prompt: What to make or change; up to 32,000 characters.
            mask: The area that may change in the first reference, or in the session's last image: a
                `Mask`, or an image of the same size that is transparent or white there.
            references: Reference images, up to 16 of at most 25 MB each: paths, ids of saved
                images, bytes, open files, PIL images, arrays, data URLs or saved images. Any format
                that Pillow reads. A mapping tells the model their roles: `{"logo": "logo.png"}`.
            keep_exif: Whether the metadata of input images go along. By default what photos tell of
                place, time and camera is removed; no pixel is changed.
            api: "responses" or "images"; see `Studio`. Default: the session's or studio's choice.
            idempotency_key: Your own name for this image. A second call with the same key returns
                the image from the library and sends nothing.
            on_progress: True shows stage, seconds and cost on a line that renews itself, in
                terminals and notebooks. Or a function, such as `print`: called with a
                `ProgressEvent` at every stage, and twice a second while the call waits.
            timeout: Seconds for this image in all. Default: the studio's.
            extra_headers: Headers of the paid request, such as those of a gateway; not recorded.
            extra_body: Fields of its body that this library has no option for; not recorded.
            **options: See `GenerateOptions`.

        Returns:
            The image; the last one if the response has several. All are saved.

        Raises:
            InvalidRequestError: The call has to be changed; nothing was sent.
            BudgetExceededError: It could cost more than the rest of the budget; nothing was sent.
            RefusalError: The model or a safety system declined.
            TransientError: The provider rejected the request; nothing was billed.
            OutcomeUnknownError: The response was lost; the request is not sent again by itself.
            ImageSessionError: See `imagesession.errors` for all exceptions.
        """
        request = requests.build_request(prompt, options, GenerateParams)
        return self._generate(request, options.get("on_progress"))

    @takes_keywords(GenerateParams)
    def submit(
        self,
        prompt: str,
        *,
        within: Literal["2h", "8h"] = "8h",
        **options: Unpack[GenerateParams],
    ) -> PendingRequest:
        """
        Submit an image that the provider makes within hours, at a discount; on a session, one that
        continues the conversation, which a batch cannot do.

        This returns as soon as the provider has accepted it. `Studio.recover` saves the image once
        it is finished, in this program or any other on the library; a new program also does so
        before its first image. Until then `studio.requests.pending()` lists it, a budget counts
        what it could cost, and the session's next turn does not know it.

        Args:
            prompt: As for `generate`.
            within: In how many hours it is to be finished: "2h" is 30% below the standard price of
                the mainline model's tokens, "8h" 40%. Whether the image model's are discounted
                too is not documented, so costs count them in full.
            mask, references, idempotency_key, on_progress: As for `generate`.
            **options: See `GenerateOptions`; service_tier does not go with it.

        Returns:
            The request, with its turn and the provider's id.

        Raises:
            InvalidRequestError: The call has to be changed, or the server does not take such
                requests; nothing was sent.
            ImageSessionError: As for `generate`.
        """
        request = requests.build_submission(prompt, within, options)
        workflow = workflows.submit_at(request, self._runtime.config, self._branch_head)
        return self._runtime.run(workflow, options.get("on_progress"))

    @takes_keywords(StreamParams, partial_images=STREAMED_PARTIALS)
    def stream(
        self, prompt: str, **options: Unpack[StreamParams]
    ) -> Generator[PartialImage | ImageT, None, None]:
        """
        Make an image, and yield partial images while it is made.

        Takes and raises the same as `generate`; nothing is sent before the first iteration.

        Args:
            prompt: What to make or change.
            partial_images: How many partial images to request, 0 to 3; each is billed as 100 more
                tokens. There may be fewer, or one more.
            mask, references, api: As for `generate`.
            idempotency_key: As for `generate`; an image from the library has no partial images.
            on_progress, timeout, extra_headers, extra_body: As for `generate`.
            **options: See `GenerateOptions`.

        Yields:
            The partial images, then the saved image.
        """
        request = requests.build_stream(prompt, options)
        workflow = workflows.generate_at(request, self._runtime.config, self._branch_head)
        return self._runtime.stream(workflow, self._wrap, options.get("on_progress"))

    @takes_keywords(EditParams)
    def edit(self, prompt: str, **options: Unpack[EditParams]) -> ImageT:
        """
        Change an image.

        Args:
            prompt: What to change.
            image: The image: a path, the id of a saved image, bytes, an open file, a PIL image or
                a saved image, of at most 25 MB and 64 million pixels. Default on a session: the
                last image.
            mask: The area that may change: a `Mask`, or an image of the same size that is
                transparent or white there. It is checked before anything is sent.
            resize_mask: Whether to rescale a mask or markup of another size.
            preserve_unmasked: Whether to save, beside the unchanged response, an image whose pixels
                outside the mask are exactly the original's, because models often change them. It is
                returned, and the next turn refines it.
            markup: A drawing with a transparent background that is laid over the image and shows
                where and what to change; supported by the models of GPT Image 2.5 and 2.6.
            references: Further reference images.
            api, idempotency_key, on_progress, timeout, extra_headers, extra_body: As for
                `generate`.
            **options: See `GenerateOptions`.

        Returns:
            The changed image.

        Raises:
            InvalidImageError: There is no image, or it or its mask cannot be used; nothing was
                sent.
            ImageSessionError: As for `generate`.
        """
        request = requests.build_edit(prompt, options)
        return self._generate(request, options.get("on_progress"))

    @takes_keywords(RequestParams)
    def outpaint(
        self,
        image: ImageInput | None = None,
        *,
        to: Size,
        anchor: Anchor = "center",
        prompt: str = "",
        **options: Unpack[RequestParams],
    ) -> ImageT:
        """
        Extend an image beyond its edges; on a session, the last one unless another is given.

        Canvas and mask are made here. What the image shows already is kept exactly, up to a narrow
        soft edge, as with `preserve_unmasked` of `edit`.

        Args:
            image: The image to extend, in any form that `edit` takes.
            to: The shape or size of the result, as for the option `size`: "16:9", "square" or
                "2048x1152". A ratio gives the smallest size that holds the image.
            anchor: Where the image lies in the result: "center", "left", "right", "top", "bottom",
                or a corner such as "top-left".
            prompt: What the new part shows. Default: what continues the image.
            idempotency_key, on_progress: As for `generate`.
            **options: See `GenerateOptions`.

        Raises:
            InvalidRequestError: An argument is not valid, or the image has that shape already.
            ImageSessionError: As for `generate`.
        """
        request = requests.build_request(prompt, {**options, "image": image}, EditParams)
        config, head = self._runtime.config, self._branch_head
        workflow = workflows.outpaint_at(request, to, anchor, config, head)
        return self._wrap(self._runtime.run(workflow, options.get("on_progress")))

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
        Make variations of a prompt or of an image, concurrently.

        On a session all of them continue the same image; use `checkout` or `branch` to continue
        one of them.

        Args:
            prompt: What they show; with an image, how they differ from it (optional).
            image: The image to vary; None to make them from the prompt only.
            n: How many, 1 to 10, each a separate request that is billed; with `api="images"` all
                in one request. Default: a single image is returned instead of results.
            references, api: As for `generate`.
            idempotency_key: As for `generate`; with `n`, "/1", "/2" and so on are appended.
            on_progress: As for `generate`; the event's `position` is the image's number, from 0.
            timeout, extra_headers, extra_body: As for `generate`.
            **options: See `GenerateOptions`.

        Returns:
            The image; with `n`, results in order, with an error in the place of each failed one.

        Raises:
            InvalidRequestError: The call has to be changed; nothing was sent.
        """
        request = requests.build_variation(prompt, options)
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
        Make an image from a preset, built-in or your own; see `imagesession.presets`.

        Args:
            name: The preset's name.
            subject: What the image shows.
            params: Values of the preset's parameters; the others have their defaults.
            n: How many, 1 to 10, concurrently. Default: a single image instead of results.
            references, api: As for `generate`.
            idempotency_key: As for `generate`; with `n`, "/1", "/2" and so on are appended.
            on_progress: As for `generate`; the event's `position` is the image's number, from 0.
            timeout, extra_headers, extra_body: As for `generate`.
            **options: See `GenerateOptions`; they have precedence over the preset's options.

        Returns:
            The image; with `n`, results in order, with an error in the place of each failed one.

        Raises:
            InvalidOptionError: There is no such preset, parameter or value; nothing was sent.
            ImageSessionError: As for `generate`.
        """
        call = requests.build_preset_call(name, subject, options)
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
        Make a product photograph, which is saved in a folder with the product's name.

        Args:
            description: The product, such as "ceramic coffee mug"; also the name of its folder.
            n: How many, 1 to 10, concurrently. Default: a single image instead of results.
            background_type: "white", "transparent" or "lifestyle".
            angle: "front", "side", "three-quarter" or "top".
            lighting: "studio", "natural", "dramatic" or "soft".
            references: Reference images of the product.
            api: As for `generate`.
            idempotency_key: As for `generate`; with `n`, "/1", "/2" and so on are appended.
            on_progress: As for `generate`; the event's `position` is the image's number, from 0.
            timeout, extra_headers, extra_body: As for `generate`.
            **options: See `GenerateOptions`.

        Returns:
            The image; with `n`, results in order, with an error in the place of each failed one.

        Raises:
            InvalidOptionError: A parameter has no such value; nothing was sent.
            ImageSessionError: As for `generate`.
        """
        call = requests.build_product_call(description, options)
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
        Make an asset for a user interface, which is saved in a folder of its type.

        Args:
            asset_type: "icon", "illustration", "background", "hero" or "button".
            description: What it shows.
            n: How many, 1 to 10, concurrently. Default: a single image instead of results.
            theme: "modern", "classic", "minimal" or "playful".
            style_preset: "flat", "3d", "outline" or "filled".
            size_preset: "small", "standard" or "large"; the nearest size that the model supports.
            references: Reference images, such as an earlier asset of the same set.
            api: As for `generate`.
            idempotency_key: As for `generate`; with `n`, "/1", "/2" and so on are appended.
            on_progress: As for `generate`; the event's `position` is the image's number, from 0.
            timeout, extra_headers, extra_body: As for `generate`.
            **options: See `GenerateOptions`.

        Returns:
            The image; with `n`, results in order, with an error in the place of each failed one.

        Raises:
            InvalidOptionError: A parameter has no such value; nothing was sent.
            ImageSessionError: As for `generate`.
        """
        call = requests.build_ui_asset_call(asset_type, description, options)
        return self._generate_several(call, n, options.get("on_progress"))

    def analyze(
        self,
        image: ImageInput | None = None,
        *,
        goals: str = "",
        model: str | None = None,
        timeout: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> Analysis:
        """
        Analyze an image: one request to the mainline model, without making an image.

        Args:
            image: The image, as for `edit`.
            goals: The purpose by which to judge the image, if any.
            model: The mainline model. Default: the session's or studio's choice.
            timeout: Seconds for the analysis in all. Default: the studio's.
            on_progress: As for `generate`.

        Returns:
            The findings, the most severe first.

        Raises:
            InvalidImageError: There is no image, or it cannot be used; nothing was sent.
            InvalidResponseError: The response does not have the requested form.
            ImageSessionError: As for `generate`.
        """
        request = requests.build_analysis(goals, image, model, timeout)
        workflow = workflows.analyze_at(request, self._runtime.config, self._branch_head)
        return self._runtime.run(workflow, on_progress)

    @takes_keywords(ImproveParams)
    def improve(
        self, goals: str, *, preserve_elements: str = "", **options: Unpack[ImproveParams]
    ) -> Improvement[ImageT]:
        """
        Analyze an image, then edit it: two requests.

        Args:
            goals: The intended result, such as "more contrast, fit for a shop window".
            image: The image, as for `edit`.
            preserve_elements: What must not change.
            api: As for `generate`.
            idempotency_key: As for `generate`. An image from the library is not analyzed again; its
                findings are read from its turn.
            on_progress, timeout, extra_headers, extra_body: As for `generate`.
            **options: See `GenerateOptions`.

        Returns:
            The analysis, and the image of the edit that was planned from it.

        Raises:
            InvalidImageError: There is no image, or it cannot be used; nothing was sent.
            ImageSessionError: As for `generate`. The findings are saved even if the edit fails.
        """
        request = requests.build_request(goals, options, ImproveParams)
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
        within: CompletionWindow = "soonest",
        **options: Unpack[EstimateParams],
    ) -> CostEstimate:
        """
        Estimate what an image could cost; on a session, as its next turn. Nothing is sent.

        Args:
            prompt: As for `generate`.
            image: As for `edit`.
            references, mask: As for `generate`.
            partial_images: As for `stream`.
            n: How many such images.
            batch: Whether they are made in a batch, at half the price; on a studio only.
            within: The window in which `submit` has them made; "soonest" for other verbs.
            **options: See `GenerateOptions`; setting quality and size narrows the range.

        Returns:
            The range in US dollars, and its assumptions.

        Raises:
            InvalidRequestError: The call has to be changed.
        """
        request = requests.build_request(prompt, options, EstimateParams)
        config, head = self._runtime.config, self._branch_head
        return self._runtime.run(
            workflows.estimate_at(request, n, config, head, batch=batch, within=within)
        )

    def _generate(
        self, call: GenerateRequest | PresetCall, on_progress: OnProgress | None
    ) -> ImageT:
        workflow = workflows.generate_at(call, self._runtime.config, self._branch_head)
        return self._wrap(self._runtime.run(workflow, on_progress))

    def _generate_several(
        self,
        call: GenerateRequest | PresetCall,
        n: int | None,
        on_progress: OnProgress | None,
    ) -> ImageT | Results[ImageT]:
        if n is None:
            return self._generate(call, on_progress)
        plan = workflows.plan_variations(call, n, self._runtime.config, self._branch_head)
        outcomes = self._runtime.gather(
            self._runtime.run(plan), concurrency=DEFAULT_CONCURRENCY, on_progress=on_progress
        )
        return workflows.to_variations(outcomes, n, self._wrap)

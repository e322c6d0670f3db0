"""
Script a provider: what it answers next, how it fails, and which features it refuses.
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast, get_args

from imagesession._fake_openai.errors import RefusalError, blocked, error_answer
from imagesession._fake_openai.faults import (
    GENERATIONS,
    Blocked,
    Broken,
    Ending,
    Fault,
    Faults,
    Refused,
    Scripted,
    asks_for_picture,
    truncate_after,
)
from imagesession._fake_openai.http import FakeRequest, FakeResponse, Json
from imagesession._fake_openai.images_endpoint import streams
from imagesession._fake_openai.random_faults import FaultRates

if TYPE_CHECKING:
    from PIL import Image

Picture: TypeAlias = "bytes | str | os.PathLike[str] | Image.Image"
"""An image: its bytes, the path of its file, or a PIL image."""
Feature: TypeAlias = Literal[
    "background",
    "stream",
    "store",
    "files",
    "conversation",
    "previous_response_id",
    "prompt_cache_key",
]
FEATURES: Final[tuple[Feature, ...]] = get_args(Feature)
_FILE_PARAMS = ("input", "tools", "images", "mask", "markup")
# The parameters of a response that use a feature, and the values that do.
_PARAMS: Final[Mapping[Feature, Callable[[object], bool]]] = {
    "background": lambda value: value is True,
    "store": lambda value: value is not False,  # responses are stored by default
    "conversation": lambda value: value is not None,
    "previous_response_id": lambda value: value is not None,
    "prompt_cache_key": lambda value: value is not None,
}


class ScriptingMixin:
    """
    Script responses, queue faults, inject random ones, and refuse features.
    """

    clock: Callable[[], float]
    responses: bool
    files: bool
    batches: bool

    def __init__(self) -> None:
        self._faults = Faults()
        self._refused: dict[Feature, tuple[int, Mapping[str, object]]] = {}

    def serves(self, call: FakeRequest) -> bool:
        """
        Tell whether this provider has the endpoint of a request.
        """
        switches = {"conversations": self.responses, "responses": self.responses}
        switches |= {"files": self.files, "batches": self.batches}
        return switches.get(call.path.split("/")[1], True)

    def respond_next(
        self,
        *,
        image: Picture | None = None,
        text: str | None = None,
        revised_prompt: str | None = None,
        refuse: str | None = None,
        times: int = 1,
    ) -> None:
        """
        Script the next response; the provider fills in what is left out.

        Args:
            image: The image, sent as it is, whatever its format and size.
            text: The message beside the image, or for an analysis its findings as JSON. The Images
                API has no messages.
            revised_prompt: The revised prompt.
            refuse: The words in which the model refuses, instead of everything else.
            times: How many responses to script.

        Raises:
            ValueError: Nothing is scripted, or both an image and a refusal.

        """
        draws = image is not None or revised_prompt is not None
        if refuse is not None:
            if draws or text is not None:
                raise ValueError(
                    "refuse= cannot be combined with image=, text= or revised_prompt=."
                )
            self._end_next(Refused(text=refuse), path="/responses", times=times)
            return
        if not draws and text is None:
            raise ValueError("Pass at least one of image=, text=, revised_prompt= and refuse=.")
        data = None if image is None else _bytes_of(image)
        script = Fault(
            method="POST",
            path=GENERATIONS if draws else "/responses",
            match=lambda call: self.serves(call) and (not draws or asks_for_picture(call)),
            outcome=Scripted(image=data, text=text, revised_prompt=revised_prompt),
        )
        self.enqueue_fault(script, times=times)

    def enqueue_fault(self, fault: Fault, *, times: int = 1) -> None:
        """
        Queue a fault for the next matching requests.

        Args:
            fault: The fault.
            times: How many requests meet it.

        """
        self._faults.enqueue(fault, times=times)

    def inject_faults(
        self, rates: Mapping[str, float], *, seed: int = 0, method: str = "*", path: str = "*"
    ) -> None:
        """
        Inject random faults from now on, such as `{"429": 0.1, "no-response": 0.01}`.

        Queued faults come first. An empty mapping ends the injection.

        Args:
            rates: The probability of each kind, from 0 to 1; together at most 1. The kinds are
                429, 429-retry-after, quota, 500, 503, 529, reset-before-response,
                reset-within-response, reset-after-response, no-response, slow, cut,
                cut-after-image, truncated, garbled, html, moderation, moderation-item,
                unknown-previous-response and late.
            seed: The same seed hits the same requests, if they come in the same order.
            method: Only requests with this method.
            path: Only requests whose path matches this pattern, as in `fail_next`.

        Raises:
            ValueError: A kind is unknown, or a rate is out of range.

        """
        odds = FaultRates(rates, seed=seed, method=method, path=path, clock=self.clock)
        self._faults.draw = odds.draw

    def fail_next(
        self,
        *,
        status: int,
        error: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
        path: str | None = None,
        times: int = 1,
    ) -> None:
        """
        Answer the next request for an image with an error.

        These are POSTs to `/responses` with the image tool, to `/images/generations` and to
        `/images/edits`; free requests before them, such as uploads, are answered as usual. With a
        method or a path, the next request that matches these fails, whatever it is for.

        Args:
            status: The HTTP status.
            error: The error object; by default a plain one for the status.
            headers: Response headers such as `retry-after`.
            method: Only requests with this method; `*` for any.
            path: Only requests whose path, without `/v1`, matches this pattern; `*` for any, and
                alternatives are separated by `|`.
            times: How many requests fail.

        """
        body = error or _plain(status)

        def instead(_call: FakeRequest) -> FakeResponse:
            return error_answer(status, body, headers)

        fault = Fault(
            method=method or "*",
            path=path or "*",
            match=asks_for_picture if method is None and path is None else None,
            response=instead,
        )
        self.enqueue_fault(fault, times=times)

    def refuse(
        self, feature: Feature, *, status: int = 400, error: Mapping[str, object] | None = None
    ) -> None:
        """
        Refuse every request that uses a feature, as gateways and compatible servers do, until
        `accept` is called. A second call for a feature replaces its status and error.

        Args:
            feature: "background", "stream", "store", "files", "conversation",
                "previous_response_id" or "prompt_cache_key". "store" refuses each request without
                `store: false`; "files" refuses images and masks that are given by the id of an
                upload. Only use is refused: conversations can still be created, and files
                uploaded.
            status: The HTTP status.
            error: The error object; by default a body that has been seen in practice.

        Raises:
            ValueError: The feature is unknown.

        """
        seen = RefusalError(f"no_{_known_feature(feature)}").error
        self._refused[feature] = (status, error or seen)

    def accept(self, feature: Feature) -> None:
        """
        Accept a feature again; see `refuse`.

        Raises:
            ValueError: The feature is unknown.

        """
        self._refused.pop(_known_feature(feature), None)

    def refuse_next(self, text: str) -> None:
        """
        Answer the next generation with a refusal in words and no image.

        The Images API has no messages, so its requests are not affected.
        """
        self._end_next(Refused(text=text), path="/responses")

    def fail_generation_next(
        self, *, code: str = "server_error", message: str = "The server had an error."
    ) -> None:
        """
        Let the next generation fail after it was accepted: a response ends as `failed`, and an
        Images API request with status 500 or, if streamed, with an error event.
        """
        self._end_next(Broken(code=code, message=message))

    def moderate_next(
        self,
        *,
        stage: Literal["input", "output", "unknown"] = "output",
        categories: tuple[str, ...] = ("sexual",),
        as_item: bool = False,
    ) -> None:
        """
        Let moderation block the next generation.

        Args:
            stage: What is blocked: the request ("input") or the image ("output").
            categories: The reasons to report.
            as_item: Answer 200 with a failed image item instead of 400; the Images API has no
                items and still answers 400.

        """
        if as_item:
            self._end_next(Blocked(stage=stage, categories=categories))
            return
        error = blocked(stage, categories, str(uuid.uuid4())).error
        self.fail_next(status=HTTPStatus.BAD_REQUEST, error=error, method="POST", path=GENERATIONS)

    def truncate_stream_after(self, events: int | str) -> None:
        """
        End the next stream silently.

        Args:
            events: After how many events; or after the first event of which type, such as
                "response.created". "response.output_item.done" stands for the image's event.

        """
        self.enqueue_fault(Fault(streaming=True, transform=truncate_after(events)))

    def _end_next(self, ending: Ending, *, path: str = GENERATIONS, times: int = 1) -> None:
        self.enqueue_fault(Fault(method="POST", path=path, outcome=ending), times=times)

    def _refuse_feature(self, call: FakeRequest) -> FakeResponse | None:
        if self._refused:
            for feature in _used_features(call):
                if feature in self._refused:
                    return error_answer(*self._refused[feature])
        return None


def _plain(status: int) -> Json:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = "server_error"
    else:
        too_many = status == HTTPStatus.TOO_MANY_REQUESTS
        kind = "requests" if too_many else "invalid_request_error"
    # A 400 or 422 without a code would be read as refusing a feature of the protocol.
    code = (
        "invalid_value"
        if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
        else None
    )
    return {"message": HTTPStatus(status).phrase, "type": kind, "param": None, "code": code}


def _bytes_of(image: Picture) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, (str, os.PathLike)):
        return Path(image).read_bytes()
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _known_feature(feature: Feature) -> Feature:
    if feature not in FEATURES:
        raise ValueError(f"Unknown feature {feature!r}; there are {', '.join(FEATURES)}.")
    return feature


def _used_features(call: FakeRequest) -> Iterator[Feature]:
    if streams(call):
        yield "stream"
    if call.method != "POST":
        return
    body = call.members
    if any(_holds_file(body.get(param)) for param in _FILE_PARAMS):
        yield "files"
    if call.path == "/responses":
        for feature, uses in _PARAMS.items():
            if uses(body.get(feature)):
                yield feature


def _holds_file(value: object) -> bool:
    if isinstance(value, list):
        return any(_holds_file(item) for item in cast("list[object]", value))
    if not isinstance(value, dict):
        return False
    members = cast("dict[str, object]", value)
    if members.get("type") == "input_file":
        return False
    return members.get("file_id") is not None or any(map(_holds_file, members.values()))

"""
Saying how a provider fails: the next call, by chance, or whatever uses a feature.
"""

import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Literal

from imagesession._fake_openai.errors import blocked, error_answer
from imagesession._fake_openai.faults import (
    GENERATIONS,
    Blocked,
    Broken,
    Ending,
    Fault,
    Faults,
    Refused,
    asks_for_picture,
    truncate_after,
)
from imagesession._fake_openai.http import FakeRequest, FakeResponse, Json
from imagesession._fake_openai.random_faults import FaultRates
from imagesession._fake_openai.unsupported import Feature, Refusals


class Failing:
    """
    Let people say how a provider fails.
    """

    _clock: Callable[[], float]
    _faults: Faults
    _refusals: Refusals

    def enqueue_fault(self, fault: Fault, *, times: int = 1) -> None:
        """
        Plan a fault for the next call, or calls, that it fits.
        """
        self._faults.enqueue(fault, times=times)

    def inject_faults(
        self, rates: Mapping[str, float], *, seed: int = 0, method: str = "*", path: str = "*"
    ) -> None:
        """
        Let calls meet trouble by chance from now on, such as `{"429": 0.1, "hang": 0.01}`.

        Faults that are planned strike before. An empty mapping ends it.

        Args:
            rates: How often each kind strikes, from 0 to 1; together at most 1. The kinds are
                429, 429 hinted, quota, 500, 503, 529, reset before, reset within, reset after,
                hang, slow, cut, cut after picture, truncated, garbled, html, moderation, moderation
                item, unknown previous and late.
            seed: The same seed strikes the same calls, if they come in the same order.
            method: Only calls with this method.
            path: Only calls whose path fits this pattern, as in `fail_next`.

        Raises:
            ValueError: There is no such kind, or a rate is none.

        """
        odds = FaultRates(rates, seed=seed, method=method, path=path, clock=self._clock)
        self._faults.chance = odds.draw

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
        Answer the next call that asks for a picture with an error.

        Those are POSTs to `/responses` with the image tool, to `/images/generations` and to
        `/images/edits`; free calls before them, such as uploads, are left alone. Give a method or
        a path, and it is the next call that fits these, whatever it asks for.

        Args:
            status: The HTTP status.
            error: The error object; by default a plain one for the status.
            headers: Such as `retry-after`.
            method: Calls with this method; `*` for any.
            path: Calls whose path fits this pattern, `/v1` left out; `*` for any, and alternatives
                are separated by `|`.
            times: How many calls get it.

        """
        body = error or _plain(status)

        def instead(_call: FakeRequest) -> FakeResponse:
            return error_answer(status, body, headers)

        fault = Fault(
            method=method or "*",
            path=path or "*",
            when=asks_for_picture if method is None and path is None else None,
            instead=instead,
        )
        self.enqueue_fault(fault, times=times)

    def refuse(
        self, feature: Feature, *, status: int = 400, error: Mapping[str, object] | None = None
    ) -> None:
        """
        Refuse every request that uses a feature, until `accept` ends it, as gateways and
        compatible servers do. To refuse a feature again replaces its status and error.

        Args:
            feature: "background", "stream", "store", "files", "conversation" or
                "previous_response_id". What is stored is each request that does not say
                `store: false`; files are pictures and masks that are named by the id of an upload.
                Making conversations and uploading files is not refused, only using them is.
            status: The HTTP status.
            error: The error object; by default in words in which the feature was seen refused.

        Raises:
            ValueError: There is no such feature.

        """
        self._refusals.refuse(feature, status, error)

    def accept(self, feature: Feature) -> None:
        """
        Refuse a feature no longer; see `refuse`.

        Raises:
            ValueError: There is no such feature.

        """
        self._refusals.accept(feature)

    def refuse_next(self, text: str) -> None:
        """
        Let the model decline the next generation in words, with no picture.

        The Images API has no words; a call to it does not meet this.
        """
        self._end_next(Refused(text=text), path="/responses")

    def fail_generation_next(
        self, *, code: str = "server_error", message: str = "The server had an error."
    ) -> None:
        """
        Let the next generation fail after it was accepted: its response ends as `failed`, and
        its call to the Images API with status 500 or, when streamed, with an error event.
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
        Let moderation stop the next generation.

        Args:
            stage: What was objected to: the request, or the picture.
            categories: Why.
            as_item: Answer 200 with an image item that failed, instead of 400, where there are
                items: the Images API has none.

        """
        if as_item:
            self._end_next(Blocked(stage=stage, categories=categories))
            return
        error = blocked(stage, categories, str(uuid.uuid4()))
        self.fail_next(status=HTTPStatus.BAD_REQUEST, error=error, method="POST", path=GENERATIONS)

    def truncate_stream_after(self, events: int | str) -> None:
        """
        Let the next stream stop silently.

        Args:
            events: After so many events; or after the first event of this type, such as
                "response.created". "response.output_item.done" is that of the picture: the stream
                ends when it has come.

        """
        self.enqueue_fault(Fault(streaming=True, bend=truncate_after(events)))

    def _end_next(self, ending: Ending, *, path: str = GENERATIONS) -> None:
        self.enqueue_fault(Fault(method="POST", path=path, ending=ending))


def _plain(status: int) -> Json:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = "server_error"
    else:
        too_many = status == HTTPStatus.TOO_MANY_REQUESTS
        kind = "requests" if too_many else "invalid_request_error"
    # A refusal without a reason would be taken for one of a part of the protocol.
    code = (
        "invalid_value"
        if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
        else None
    )
    return {"message": HTTPStatus(status).phrase, "type": kind, "param": None, "code": code}

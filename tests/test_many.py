"""
Many images in one call: each with its own outcome, none requested twice, within the rate limit.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from imagesession import AsyncStudio, ImageRequest, Studio, presets
from imagesession._fake_openai.http import FakeRequest, FakeResponse, Part
from imagesession.errors import (
    ContentBlockedError,
    GenerationFailedError,
    InvalidImageError,
    InvalidOptionError,
    InvalidPromptError,
    InvalidRequestError,
    KeyReusedError,
    NotFoundError,
    RateLimitError,
    RefusalError,
)
from imagesession.testing import FakeOpenAI, tiny_image, tiny_mask
from tests.clock import DAY
from tests.conftest import MakeStudio
from tests.unsettled import unsettled

# Without a cooldown, so that other requests are not delayed.
AT_ONCE = {"retry-after": "0"}


def paid_bodies(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the paid requests, which are those for images.
    """
    return [
        call.body
        for call in provider.requests
        if call.method == "POST" and call.path.startswith(("/responses", "/images"))
    ]


class FaultyByPrompt(FakeOpenAI):
    """
    Fails requests whose prompt contains certain text, in whatever order they come.
    """

    def __init__(self) -> None:
        super().__init__()
        self._one_by_one = threading.Lock()

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Plan the failure of this call and no other, and answer it.
        """
        plans: dict[bytes, Callable[[], None]] = {
            b"REFUSE": lambda: self.refuse_next("I would rather not."),
            b"BLOCK": self.moderate_next,
            b"BREAK": self.fail_generation_next,
            b"LATER": lambda: self.fail_next(status=429, headers=AT_ONCE, path="/responses"),
        }
        with self._one_by_one:
            for text, plan in plans.items():
                if call.method == "POST" and text in call.body:
                    plan()
            return super().handle(call)


class ConcurrencyGauge(FakeOpenAI):
    """
    Measures the number of concurrent requests; each waits until that many are pending.
    """

    def __init__(self, expected: int) -> None:
        super().__init__()
        self.most = 0
        self._under_way = 0
        self._lock = threading.Lock()
        self._together = threading.Barrier(expected)

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer like any, but take a while.
        """
        answer = super().handle(call)
        if (call.method, call.path) != ("POST", "/responses"):
            return answer
        return FakeResponse(headers=answer.headers, parts=self._taking_a_while(answer.parts))

    def _taking_a_while(self, parts: Iterator[Part]) -> Iterator[Part]:
        with self._lock:
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        self._together.wait(timeout=60)
        try:
            yield from parts
        finally:  # after the last event, clients need not wait for the end of the stream
            with self._lock:
                self._under_way -= 1


def test_results_have_the_order_of_the_requests(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Whatever finishes first, the results have the order of the requests, and each image is saved.
    """
    studio = make_studio(tmp_path, provider=FakeOpenAI(latency=0.05))
    prompts = [f"teapot number {number}" for number in range(6)]
    results = studio.map(prompts, max_concurrency=6)
    assert [result.prompt for result in results] == prompts
    assert results.ok
    assert results.raise_any() is results
    assert {image.id for image in studio.images.list(kind="batch")} == {
        result.id for result in results
    }
    assert {result.path.parent.name for result in results} == {"batch_generations"}


def test_one_failure_does_not_end_the_rest(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A refused, blocked, failed or rejected request has its typed error in the results.
    """
    provider = FaultyByPrompt()
    studio = make_studio(tmp_path, provider=provider)
    prompts = ["one", "REFUSE", "two", "BLOCK", "LATER", "three", "BREAK", "four"]
    results = studio.map(prompts)
    kinds = [type(result) for result in results if isinstance(result, Exception)]
    assert kinds == [RefusalError, ContentBlockedError, RateLimitError, GenerationFailedError]
    assert [image.prompt for image in results.images] == ["one", "two", "three", "four"]
    failed = [p for p, result in zip(prompts, results, strict=True) if result in results.errors]
    assert failed == ["REFUSE", "BLOCK", "LATER", "BREAK"]
    assert len(paid_bodies(provider)) == len(prompts)
    assert repr(results) == "<Results: 4 of 8 images, 4 failed>"
    with pytest.raises(RefusalError):
        results.raise_any()


@pytest.mark.parametrize("concurrency", [1, 3])
def test_concurrency_is_limited(make_studio: MakeStudio, tmp_path: Path, concurrency: int) -> None:
    """
    The limit of concurrent requests is reached, and never exceeded.
    """
    provider = ConcurrencyGauge(expected=concurrency)
    studio = make_studio(tmp_path, provider=provider)
    results = studio.map([f"number {number}" for number in range(6)], max_concurrency=concurrency)
    assert results.ok
    assert provider.most == concurrency


class StartRecorder(FakeOpenAI):
    """
    Records when images were requested.
    """

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer, and remember when.
        """
        if call.path == "/responses":
            self.times.append(time.monotonic())
        return super().handle(call)


def test_request_starts_are_rate_limited(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    With `images_per_minute` the requests start at equal intervals.
    """
    provider = StartRecorder()
    studio = make_studio(tmp_path, provider=provider)
    start = time.monotonic()
    assert studio.map(["a", "b", "c", "d"], images_per_minute=600).ok
    assert len(provider.times) == 4
    assert all(
        started - start >= 0.1 * number - 0.001
        for number, started in enumerate(sorted(provider.times))
    )


def test_existing_images_are_not_rate_limited(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    An image that comes from the library uses no rate slot.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path, provider=provider)
    jobs = {f"number {number}": f"teapot number {number}" for number in range(5)}
    first_run = studio.map(jobs)
    start = time.monotonic()
    second_run = studio.map({**jobs, "new": "a new one"}, images_per_minute=60 / DAY)
    assert time.monotonic() - start < DAY / 2
    assert second_run.items[:5] == first_run.items
    assert len(paid_bodies(provider)) == 6


def test_second_run_makes_only_what_is_missing(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    With the same keys nothing is requested twice: failed and new requests are made, in this program
    and in the next; the results have the keys.
    """
    provider = FaultyByPrompt()
    studio = make_studio(tmp_path, provider=provider)
    first = studio.map({"a": "a teapot", "b": "LATER", "c": "a cup"})
    assert (first.keys, len(first.images), len(paid_bodies(provider))) == (("a", "b", "c"), 2, 3)
    assert isinstance(first.get("b"), RateLimitError)
    second_studio = make_studio(tmp_path, provider=provider)
    second = second_studio.map(
        {"c": "a cup", "b": "a pot", "a": "a teapot", "d": ImageRequest("a spoon")}
    )
    assert second.ok
    assert (second.get("a"), second.get("c")) == (first.get("a"), first.get("c"))
    assert [body["input"][-1]["content"][-1]["text"] for body in paid_bodies(provider)[3:]] in (
        ["a pot", "a spoon"],
        ["a spoon", "a pot"],
    )
    assert len(second_studio.images.list()) == 4
    assert second_studio.map({"d": "a spoon"})[0] == second.get("d")
    assert len(paid_bodies(provider)) == 5
    with pytest.raises(NotFoundError, match="'e'"):
        second.get("e")


def test_key_belongs_to_one_prompt(studio: Any, provider: FakeOpenAI) -> None:
    """
    A key that was used for another prompt is refused in the results, and nothing is sent for it.
    """
    studio.map({"a": "a teapot"})
    results = studio.map({"a": "a cup", "b": "a spoon"})
    assert isinstance(results[0], InvalidRequestError)
    assert "another prompt ('a teapot')" in str(results[0])
    assert results.get("b").prompt == "a spoon"
    assert len(paid_bodies(provider)) == 2


def test_a_key_is_for_one_request(studio: Any, provider: FakeOpenAI) -> None:
    """
    A key returns its image for the same request alone: another session, option, mask or image is
    refused, and nothing is sent.
    """
    session = studio.session("x")
    photo = tiny_image()
    first = studio.generate("a fox", quality="low", references=photo, idempotency_key="k")
    again = studio.generate("a fox", quality="low", references=photo, idempotency_key="k")
    assert again.id == first.id
    sent = len(provider.requests)
    for target, other, what in (
        (session, {}, "session"),
        (studio, {"quality": "high"}, "quality"),
        (studio, {"mask": tiny_mask()}, "mask"),
        (studio, {"references": tiny_image(colour=(1, 2, 3))}, "image"),
    ):
        arguments = {"quality": "low", "references": photo, **other}
        with pytest.raises(KeyReusedError, match=f"another {what}"):
            target.generate("a fox", idempotency_key="k", **arguments)
    assert len(provider.requests) == sent


def test_keys_are_separate_from_idempotency_keys(studio: Any, provider: FakeOpenAI) -> None:
    """
    A key of `map` and an idempotency key of a single call are independent.
    """
    studio.generate("a teapot", idempotency_key="a")
    assert studio.map({"a": "a cup"}).ok
    assert len(paid_bodies(provider)) == 2


def test_requests_may_have_options_of_their_own(studio: Any, provider: FakeOpenAI) -> None:
    """
    An `ImageRequest` can edit, use references, a preset or its own options; the call's options
    apply to all others.
    """
    saved = studio.generate("a teapot", size="1024x1024")
    mask = tiny_mask(saved.size, (0, 0, 512, 512))
    jobs = [
        "plain",
        ImageRequest("bluer", image=saved.id),
        ImageRequest("a red heart", image=saved.path, mask=mask),
        ImageRequest("like this", references=[tiny_image(), saved.id]),
        ImageRequest("a blue mug", preset="product", params={"angle": "top"}),
        ImageRequest("a cart", preset="ui_asset", options={"output_format": "webp"}),
        ImageRequest("dear", options={"quality": "high"}),
    ]
    results = studio.map(jobs, quality="low")
    assert results.ok
    kinds = ["batch", "edit", "edit", "batch", "product", "ui_asset", "batch"]
    assert [result.kind for result in results] == kinds
    qualities = ["low"] * 6 + ["high"]
    assert [result.turn.options.quality for result in results] == qualities
    plain, edited, masked, referring, mug, cart, _ = results
    assert plain.parents == ()
    assert edited.parents == (saved.id,)
    assert masked.turn.masked
    assert len(referring.turn.references) == 2
    assert mug.path.parent.name == "a_blue_mug"
    assert mug.turn.parameters["angle"] == "top"
    assert "directly overhead" in mug.prompt
    assert (cart.path.parent.name, cart.format) == ("icons", "webp")
    assert len(paid_bodies(provider)) == 8


def test_invalid_requests_are_errors_in_the_results(
    studio: Any, provider: FakeOpenAI, tmp_path: Path
) -> None:
    """
    An invalid request is an error in the results; nothing is sent for it, and the others are made.
    """
    (tmp_path / "text.png").write_text("no picture")
    wrong: list[tuple[str | ImageRequest, type[Exception]]] = [
        ("", InvalidPromptError),
        (ImageRequest("x", options={"quality": "ultra"}), InvalidOptionError),
        (ImageRequest("x", options={"qality": "low"}), InvalidOptionError),
        (ImageRequest("x", image=tmp_path / "nothing.png"), InvalidImageError),
        (ImageRequest("x", references=tmp_path / "text.png"), InvalidImageError),
        (ImageRequest("x", mask=tiny_mask()), InvalidImageError),
        (ImageRequest("x", preset="produkt"), InvalidOptionError),
        (ImageRequest("x", preset="product", params={"angle": "below"}), InvalidOptionError),
    ]
    results = studio.map(["first", *(job for job, _ in wrong), "last"])
    assert [type(result) for result in results[1:-1]] == [kind for _, kind in wrong]
    assert [image.prompt for image in results.images] == ["first", "last"]
    assert len(paid_bodies(provider)) == 2


@pytest.mark.parametrize(
    "jobs,options",
    [
        ("one text", {}),
        (None, {}),
        (["a", 7], {}),
        (["a", None], {}),
        ({"": "a"}, {}),
        ({7: "a"}, {}),
        ({"half a \ud83c": "a"}, {}),
        (["a", ImageRequest("b", options="high")], {}),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point
        (["a", ImageRequest("b", options={7: 8})], {}),  # type: ignore[dict-item] # pyright: ignore[reportArgumentType] - the point
        (["a", ImageRequest("b", params=None)], {}),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point
        (["a", ImageRequest("b", preset=["product"])], {}),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point
        (["a"], {"concurrency": 0}),
        (["a"], {"concurrency": 65}),
        (["a"], {"concurrency": True}),
        (["a"], {"concurrency": 2.0}),
        (["a"], {"images_per_minute": 0}),
        (["a"], {"images_per_minute": "5"}),
        (["a"], {"images_per_minute": float("nan")}),
        (["a"], {"images_per_minute": float("inf")}),
        (["a"], {"quality": "ultra"}),
        (["a"], {"qality": "low"}),
    ],
)
def test_invalid_call_is_refused_before_sending(
    studio: Any, provider: FakeOpenAI, jobs: Any, options: dict[str, Any]
) -> None:
    """
    Invalid arguments of the call itself are an immediate error, and no request is started.
    """
    with pytest.raises(InvalidRequestError):
        studio.map(jobs, **options)
    assert provider.requests == ()
    assert list((studio.library / ".imagesession" / "journal").iterdir()) == []


def test_requests_may_be_any_iterable(studio: Any, provider: FakeOpenAI) -> None:
    """
    Requests may come from a generator, and there may be none.
    """
    results = studio.map(f"number {number}" for number in range(3))
    assert [result.prompt for result in results] == ["number 0", "number 1", "number 2"]
    assert [result.prompt for result in results[1:]] == ["number 1", "number 2"]
    nothing: tuple[Any, ...] = ([], {}, iter(()))
    for jobs in nothing:
        none = studio.map(jobs)
        assert (len(none), none.ok, none.keys) == (0, True, ())
    assert len(paid_bodies(provider)) == 3


def test_progress_bar_is_shown_on_request(studio: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Without a terminal nothing is shown, unless it is requested: then a line on standard error for
    the end of each image.
    """
    studio.map(["a", "b"])
    studio.map(["a", "b"], progress=False)
    assert capsys.readouterr() == ("", "")
    studio.map(["a", "b", ""], progress=True)
    output = capsys.readouterr()
    assert output.out == ""
    lines = sorted(output.err.splitlines())
    assert [line.partition(",")[0] for line in lines] == [
        "1 of 3: completed",
        "2 of 3: completed",
        "3 of 3: failed",
    ]


class InterruptingProvider(FakeOpenAI):
    """
    Interrupts the main thread, as Ctrl-C does, after a number of requests.
    """

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after: int | None = after
        self.interrupted = threading.Event()

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer, and interrupt when it is time.
        """
        answer = super().handle(call)
        if self.after is not None and len(paid_bodies(self)) >= self.after:
            self.after = None
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        if self.after is None and not self.interrupted.is_set():
            # The test needs requests that are unfinished at the interrupt.
            assert self.interrupted.wait(60)
        return answer

    @contextlib.contextmanager
    def interrupting(self) -> Generator[None, None, None]:
        """
        Expect the interrupt within a block.
        """

        def interrupt(*_: object) -> None:
            threading.Timer(0.1, self.interrupted.set).start()
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                yield
        finally:
            signal.signal(signal.SIGINT, before)


def test_second_run_completes_an_interrupted_one(tmp_path: Path) -> None:
    """
    Ctrl-C starts no further image and saves those that are pending; a second run makes the rest,
    and none twice.
    """
    provider = InterruptingProvider(after=3)
    jobs = {f"number {number}": f"teapot number {number}" for number in range(12)}
    with Studio.offline(tmp_path, provider=provider) as studio:
        with provider.interrupting():
            studio.map(jobs, max_concurrency=2)
        before = len(paid_bodies(provider))
        assert 3 <= before < 12
        assert len(studio.images.list()) == before
        results = studio.map(jobs, max_concurrency=2)
        assert results.ok
        assert len(paid_bodies(provider)) == len(studio.images.list()) == 12


def test_interrupt_does_not_wait_for_the_rate_limit(tmp_path: Path) -> None:
    """
    Ctrl-C while requests wait for a rate slot ends immediately, and none of them is started.
    """
    provider = InterruptingProvider(after=1)
    with Studio.offline(tmp_path, provider=provider) as studio:
        start = time.monotonic()
        with provider.interrupting():
            studio.map(["a", "b", "c"], images_per_minute=60 / DAY)
        assert time.monotonic() - start < DAY / 2
        assert len(paid_bodies(provider)) == len(studio.images.list()) == 1


class StallingProvider(FakeOpenAI):
    """
    Delays requests from the fourth on, and signals when it came.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        super().__init__(clock=lambda: time.time() + self._ahead)
        self.stalled = anyio.Event()

    def finish(self) -> None:
        """
        End the delays: answer the pending requests, and later ones immediately.
        """
        self.latency, self._ahead = 0, 3600.0

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer, ever later.
        """
        if len(paid_bodies(self)) >= 3 and not self.stalled.is_set():
            self.latency = 60
            self.stalled.set()
        return super().handle(call)


def both_are_accepted(library: Path) -> bool:
    """
    Return whether the library has the provider's ids of the two requests that are delayed.
    """
    intents = [file.read_bytes() for file in unsettled(library)]
    return len(intents) == 2 and all(b'\n{"response_id"' in intent for intent in intents)


@pytest.mark.anyio
async def test_second_run_completes_a_cancelled_one(tmp_path: Path) -> None:
    """
    Cancelling saves finished images. A second run makes those that were not started, and looks up
    those that the provider accepted.
    """
    provider = StallingProvider()
    jobs = {f"number {number}": f"teapot number {number}" for number in range(8)}
    async with AsyncStudio.offline(tmp_path, provider=provider) as studio:
        async with anyio.create_task_group() as group:

            async def run() -> None:
                await studio.map(jobs, max_concurrency=2)

            group.start_soon(run)
            await provider.stalled.wait()
            with anyio.fail_after(60):
                while not both_are_accepted(tmp_path):  # noqa: ASYNC110 - by a file
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        assert len(paid_bodies(provider)) < 8
        saved = await studio.images.list()
        assert len(saved) >= 2
    provider.finish()
    async with AsyncStudio.offline(tmp_path, provider=provider) as studio:
        await studio.recover()
        results = await studio.map(jobs, max_concurrency=2)
        assert results.ok
        assert set(saved) <= set(results)
        assert len(paid_bodies(provider)) == len(await studio.images.list()) == 8


# --- variations -----------------------------------------------------------------------------------


@pytest.fixture
def _packed_again() -> Iterator[None]:
    yield
    presets.reset()


def test_variations_differ(studio: Any, provider: FakeOpenAI) -> None:
    """
    Each variation is a different image of the caller's prompt, in the folder for variations; only
    the model is told which take it is.
    """
    results = studio.variations("a teapot", n=3)
    assert (results.ok, len(results)) == (True, 3)
    assert len({result.sha256 for result in results}) == 3
    assert {result.kind for result in results} == {"variation"}
    assert {result.path.parent.name for result in results} == {"variations"}
    assert [result.turn.parameters["take"] for result in results] == [1, 2, 3]
    assert {image.prompt for image in results} == {"a teapot"}
    sent = sorted(str(body["input"]) for body in paid_bodies(provider))
    assert ["This is take" in text for text in sent] == [True] * 3
    assert len(set(sent)) == 3


def test_variations_of_an_image_resemble_it(studio: Any, provider: FakeOpenAI) -> None:
    """
    An image is varied without a prompt, or as the prompt says.
    """
    saved = studio.generate("a teapot")
    for prompt in ("", "in other colours"):
        results = studio.variations(prompt, image=saved, n=2)
        assert [result.parents for result in results] == [(saved.id,)] * 2
        assert all((prompt or "variation of this picture") in result.prompt for result in results)
    assert "input_image" in str(paid_bodies(provider)[-1])


@pytest.mark.parametrize(
    "verb,arguments",
    [
        ("variations", {"prompt": "a teapot", "n": 4}),
        ("product", {"description": "a mug", "n": 4}),
        ("preset", {"name": "product", "subject": "a mug", "n": 4}),
    ],
)
def test_failed_variations_are_reported(
    make_studio: MakeStudio, tmp_path: Path, verb: str, arguments: dict[str, Any]
) -> None:
    """
    If variations fail, the others are returned, and if all fail the result is not ok.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path, provider=provider)
    provider.fail_next(status=429, headers=AT_ONCE, method="POST", path="/responses")
    provider.refuse_next("I would rather not.")
    results = getattr(studio, verb)(**arguments)
    assert (len(results), len(results.images)) == (4, 2)
    assert {type(error) for error in results.errors} == {RateLimitError, RefusalError}
    provider.fail_next(status=429, headers=AT_ONCE, method="POST", path="/responses", times=4)
    results = getattr(studio, verb)(**arguments)
    assert (results.ok, results.images, len(results.errors)) == (False, (), 4)


@pytest.mark.parametrize(
    "verb,arguments",
    [
        ("variations", {"prompt": "a teapot", "n": 4}),
        ("product", {"description": "a mug", "n": 4}),
    ],
)
def test_variations_run_concurrently(
    make_studio: MakeStudio, tmp_path: Path, verb: str, arguments: dict[str, Any]
) -> None:
    """
    Four variations are pending at the same time.
    """
    provider = ConcurrencyGauge(expected=4)
    assert getattr(make_studio(tmp_path, provider=provider), verb)(**arguments).ok
    assert provider.most == 4


@pytest.mark.parametrize("verb,arguments", [("variations", {"n": 3}), ("product", {"n": 3})])
def test_variations_in_a_session_are_siblings(
    studio: Any, verb: str, arguments: dict[str, int]
) -> None:
    """
    In a session all variations have the same parent, and any of them can be continued.
    """
    session = studio.session("Mugs")
    first = session.generate("a mug")
    results = getattr(session, verb)("a blue mug", **arguments)
    assert [result.parent for result in results] == [first.turn.id] * 3
    assert {result.session_id for result in results} == {session.id}
    assert session.checkout(results[0]).id == results[0].id
    assert session.generate("warmer").parent == results[0].turn.id
    other_branch = session.branch("other", at=results[1])
    assert other_branch.generate("cooler").parent == results[1].turn.id


@pytest.mark.parametrize("count", [0, 11, -1, 2.0, True, "3"])
def test_number_of_variations_is_limited(studio: Any, provider: FakeOpenAI, count: object) -> None:
    """
    An invalid number of variations is refused before anything is sent.
    """
    for where in (studio, studio.session("x")):
        for verb, name in (("variations", "n"), ("product", "n")):
            with pytest.raises(InvalidOptionError, match="from 1 to 10") as caught:
                getattr(where, verb)("a mug", **{name: count})
            assert caught.value.option == name
    assert provider.requests == ()


@pytest.mark.parametrize(
    "verb,args,options",
    [
        ("variations", ("",), {"n": 2}),
        ("variations", ("a teapot",), {"n": 2, "quality": "ultra"}),
        ("variations", ("a teapot",), {"n": 2, "image": b"no picture"}),
        ("variations", ("a teapot",), {"n": 2, "references": "/nowhere.png"}),
        ("product", ("a mug",), {"n": 2, "angle": "below"}),
        ("product", ("a mug",), {"n": 2, "size": "1x1"}),
        ("preset", ("produkt", "a mug"), {"n": 2}),
        ("preset", ("product", "a mug"), {"n": 2, "params": {"angel": "top"}}),
    ],
)
def test_invalid_variations_are_one_error(
    studio: Any, provider: FakeOpenAI, verb: str, args: Any, options: dict[str, Any]
) -> None:
    """
    An error that affects every variation is raised once, before anything is sent.
    """
    for where in (studio, studio.session("x")):
        with pytest.raises(InvalidRequestError):
            getattr(where, verb)(*args, **options)
    assert provider.requests == ()
    assert studio.images.list() == ()


def test_single_variation_uses_the_plain_prompt(studio: Any) -> None:
    """
    A single variation uses the caller's prompt unchanged; one product without `n` is an image.
    """
    assert studio.variations("a teapot", n=1)[0].prompt == "a teapot"
    assert len(studio.product("a mug", n=1)) == 1
    assert studio.product("a mug").prompt == presets.product.render_prompt("a mug")


@pytest.mark.usefixtures("_packed_again")
def test_registered_preset_is_used(studio: Any, provider: FakeOpenAI) -> None:
    """
    A registered preset is available by name in single calls, variations and `map`; options of the
    call override those of the preset.
    """
    portrait = presets.Preset(
        name="portrait",
        template="Portrait of {description}. {mood}",
        fields={
            "mood": presets.PresetParam(
                default="calm",
                choices={
                    "calm": presets.ParamValue(prompt_text="Calm.", options={"quality": "low"}),
                    "proud": presets.ParamValue(prompt_text="Proud."),
                },
            )
        },
    )
    presets.register(portrait)
    calm = studio.preset("portrait", "a keeper")
    assert (calm.prompt, calm.turn.options.quality) == ("Portrait of a keeper. Calm.", "low")
    assert studio.preset("portrait", "a keeper", quality="high").turn.options.quality == "high"
    proud = {"mood": "proud"}
    variations = studio.preset("portrait", "a keeper", params=proud, n=2)
    assert all(
        variation.prompt.startswith("Portrait of a keeper. Proud.") for variation in variations
    )
    (job,) = studio.map([ImageRequest("a keeper", preset="portrait", params=proud)])
    assert job.prompt == "Portrait of a keeper. Proud."
    assert job.turn.parameters["preset"] == "portrait"
    with pytest.raises(InvalidOptionError, match="mood"):
        studio.preset("portrait", "a keeper", params={"mood": "angry"})
    assert len(paid_bodies(provider)) == 5

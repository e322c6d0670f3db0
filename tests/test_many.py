"""
Many pictures at once: each with its own end, none asked for twice, no faster than allowed.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
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
    NotFoundError,
    RateLimitError,
    RefusalError,
)
from imagesession.testing import FakeOpenAI, tiny_image, tiny_mask
from tests.conftest import MakeStudio

# The provider does not want to be left alone, so that other requests are not held back.
AT_ONCE = {"retry-after": "0"}


def asked(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the requests that draw, which are those that are paid for.
    """
    return [
        call.body
        for call in provider.requests
        if call.method == "POST" and call.path.startswith(("/responses", "/images"))
    ]


class Picky(FakeOpenAI):
    """
    Fails calls whose prompt holds certain words, whichever call comes first.
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
            for word, plan in plans.items():
                if call.method == "POST" and word in call.body:
                    plan()
            return super().handle(call)


class Gauge(FakeOpenAI):
    """
    Measures how many pictures are asked for at once; they wait until so many are.
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
        self._together.wait(timeout=10)
        try:
            yield from parts
        finally:  # whoever has heard the last event need not wait for the stream's end
            with self._lock:
                self._under_way -= 1


def test_pictures_come_in_the_order_of_the_jobs(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Whoever is ready first, the results stand in the order of the jobs, and each is kept.
    """
    studio = make_studio(tmp_path, provider=FakeOpenAI(latency=0.05))
    prompts = [f"teapot number {number}" for number in range(6)]
    results = studio.map(prompts, concurrency=6)
    assert [result.prompt for result in results] == prompts
    assert results.ok
    assert results.raise_any() is results
    assert {item.id for item in studio.images.list(kind="batch")} == {
        result.id for result in results
    }
    assert {result.path.parent.name for result in results} == {"batch_generations"}


def test_one_failure_does_not_end_the_rest(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    What is refused, blocked, broken or turned away stands in its place as an error of its kind.
    """
    provider = Picky()
    studio = make_studio(tmp_path, provider=provider)
    prompts = ["one", "REFUSE", "two", "BLOCK", "LATER", "three", "BREAK", "four"]
    results = studio.map(prompts)
    kinds = [type(result) for result in results if isinstance(result, Exception)]
    assert kinds == [RefusalError, ContentBlockedError, RateLimitError, GenerationFailedError]
    assert [image.prompt for image in results.images] == ["one", "two", "three", "four"]
    failed = [p for p, item in zip(prompts, results, strict=True) if item in results.errors]
    assert failed == ["REFUSE", "BLOCK", "LATER", "BREAK"]
    assert len(asked(provider)) == len(prompts)
    assert repr(results) == "<Results: 4 of 8 pictures, 4 failed>"
    with pytest.raises(RefusalError):
        results.raise_any()


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_are_under_way_than_allowed(
    make_studio: MakeStudio, tmp_path: Path, concurrency: int
) -> None:
    """
    As many requests as allowed are under way at once, and never one more.
    """
    provider = Gauge(expected=concurrency)
    studio = make_studio(tmp_path, provider=provider)
    results = studio.map([f"number {number}" for number in range(6)], concurrency=concurrency)
    assert results.ok
    assert provider.most == concurrency


class Timing(FakeOpenAI):
    """
    Remembers when pictures were asked for.
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


def test_starts_are_paced(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    With a limit of pictures a minute, each starts its share of a minute after the one before.
    """
    provider = Timing()
    studio = make_studio(tmp_path, provider=provider)
    start = time.monotonic()
    assert studio.map(["a", "b", "c", "d"], images_per_minute=600).ok
    assert len(provider.times) == 4
    assert all(
        came - start >= 0.1 * number - 0.001 for number, came in enumerate(sorted(provider.times))
    )


def test_what_is_made_already_does_not_wait(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    What is given from the library takes no share of the pictures a minute.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path, provider=provider)
    jobs = {f"number {number}": f"teapot number {number}" for number in range(5)}
    made = studio.map(jobs)
    start = time.monotonic()
    again = studio.map({**jobs, "new": "a new one"}, images_per_minute=6)
    assert time.monotonic() - start < 5
    assert again.items[:5] == made.items
    assert len(asked(provider)) == 6


def test_run_again_only_what_is_missing_is_made(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Under the same names nothing is asked for twice: what failed and what is new is made, in this
    program and in the next; the results are found by their names.
    """
    provider = Picky()
    studio = make_studio(tmp_path, provider=provider)
    first = studio.map({"a": "a teapot", "b": "LATER", "c": "a cup"})
    assert (first.keys, len(first.images), len(asked(provider))) == (("a", "b", "c"), 2, 3)
    assert isinstance(first.get("b"), RateLimitError)
    again = make_studio(tmp_path, provider=provider)
    second = again.map({"c": "a cup", "b": "a pot", "a": "a teapot", "d": ImageRequest("a spoon")})
    assert second.ok
    assert (second.get("a"), second.get("c")) == (first.get("a"), first.get("c"))
    assert [body["input"][-1]["content"][-1]["text"] for body in asked(provider)[3:]] in (
        ["a pot", "a spoon"],
        ["a spoon", "a pot"],
    )
    assert len(again.images.list()) == 4
    assert again.map({"d": "a spoon"})[0] == second.get("d")
    assert len(asked(provider)) == 5
    with pytest.raises(NotFoundError, match="'e'"):
        second.get("e")


def test_a_name_stands_for_one_prompt(studio: Any, provider: FakeOpenAI) -> None:
    """
    A name that was used for another prompt is refused in its place, and nothing is sent for it.
    """
    studio.map({"a": "a teapot"})
    results = studio.map({"a": "a cup", "b": "a spoon"})
    assert isinstance(results[0], InvalidRequestError)
    assert "another prompt ('a teapot')" in str(results[0])
    assert results.get("b").prompt == "a spoon"
    assert len(asked(provider)) == 2


def test_names_are_apart_from_the_callers_own(studio: Any, provider: FakeOpenAI) -> None:
    """
    A job's name and the intent's name of a single call do not mean each other.
    """
    studio.generate("a teapot", idempotency_key="a")
    assert studio.map({"a": "a cup"}).ok
    assert len(asked(provider)) == 2


def test_jobs_say_what_they_are(studio: Any, provider: FakeOpenAI) -> None:
    """
    A job edits, goes by references, uses a preset or asks for options of its own; the call's
    options hold for all that say nothing else.
    """
    kept = studio.generate("a teapot", size="1024x1024")
    mask = tiny_mask(kept.size, (0, 0, 512, 512))
    jobs = [
        "plain",
        ImageRequest("bluer", image=kept.id),
        ImageRequest("a red heart", image=kept.path, mask=mask),
        ImageRequest("like this", references=[tiny_image(), kept.id]),
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
    assert edited.parents == (kept.id,)
    assert masked.turn.masked
    assert len(referring.turn.references) == 2
    assert mug.path.parent.name == "a_blue_mug"
    assert mug.turn.parameters["angle"] == "top"
    assert "directly overhead" in mug.prompt
    assert (cart.path.parent.name, cart.format) == ("icons", "webp")
    assert len(asked(provider)) == 8


def test_bad_jobs_are_told_in_their_place(
    studio: Any, provider: FakeOpenAI, tmp_path: Path
) -> None:
    """
    A job that cannot be asked for is an error in its place; nothing is sent for it, and the
    others are made.
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
    assert len(asked(provider)) == 2


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
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    studio: Any, provider: FakeOpenAI, jobs: Any, options: dict[str, Any]
) -> None:
    """
    What is wrong with the call itself is an error at once, and no job is begun.
    """
    with pytest.raises(InvalidRequestError):
        studio.map(jobs, **options)
    assert provider.requests == ()
    assert list((studio.library / ".imagesession" / "journal").iterdir()) == []


def test_any_many_will_do(studio: Any, provider: FakeOpenAI) -> None:
    """
    Jobs may come from a generator, and there may be none.
    """
    results = studio.map(f"number {number}" for number in range(3))
    assert [result.prompt for result in results] == ["number 0", "number 1", "number 2"]
    assert [result.prompt for result in results[1:]] == ["number 1", "number 2"]
    nothing: tuple[Any, ...] = ([], {}, iter(()))
    for jobs in nothing:
        none = studio.map(jobs)
        assert (len(none), none.ok, none.keys) == (0, True, ())
    assert len(asked(provider)) == 3


def test_a_bar_is_shown_where_it_is_wanted(studio: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A bar on standard error counts pictures and failures alike when it is asked for; nothing is
    shown where nobody looks.
    """
    studio.map(["a", "b"])
    studio.map(["a", "b"], progress=False)
    assert capsys.readouterr() == ("", "")
    studio.map(["a", "b", ""], progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "3/3" in shown.err
    assert "image" in shown.err


class Interrupting(FakeOpenAI):
    """
    Interrupts the main thread, as Ctrl-C does, when so many requests came.
    """

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after: int | None = after

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer, and interrupt when it is time.
        """
        answer = super().handle(call)
        if self.after is not None and len(asked(self)) >= self.after:
            self.after = None
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            # What an interrupt leaves undone is only to be seen if all is not done by then.
            time.sleep(0.1)
        return answer


def test_what_an_interrupt_leaves_is_completed(tmp_path: Path) -> None:
    """
    Ctrl-C in the middle begins no further picture and keeps those that are under way; a second
    run makes the rest, and none twice.
    """
    provider = Interrupting(after=3)
    jobs = {f"number {number}": f"teapot number {number}" for number in range(12)}
    with Studio.offline(tmp_path, provider=provider) as studio:
        with pytest.raises(KeyboardInterrupt):
            studio.map(jobs, concurrency=2)
        before = len(asked(provider))
        assert 3 <= before < 12
        assert len(studio.images.list()) == before
        results = studio.map(jobs, concurrency=2)
        assert results.ok
        assert len(asked(provider)) == len(studio.images.list()) == 12


def test_an_interrupt_does_not_wait_for_the_next_turn(tmp_path: Path) -> None:
    """
    Ctrl-C while jobs wait for their share of a minute ends at once, and none of them is begun.
    """
    provider = Interrupting(after=1)
    with Studio.offline(tmp_path, provider=provider) as studio:
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            studio.map(["a", "b", "c"], images_per_minute=6)
        assert time.monotonic() - start < 5
        assert len(asked(provider)) == len(studio.images.list()) == 1


class Stalling(FakeOpenAI):
    """
    Takes long from the fourth request on, and tells when it came.
    """

    def __init__(self) -> None:
        super().__init__(clock=lambda: time.time() + self._ahead)
        self.stalled = anyio.Event()
        self._ahead = 0.0

    def finish(self) -> None:
        """
        Be done with all that was taken up, and quick from now on.
        """
        self.latency, self._ahead = 0, 3600.0

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer, ever later.
        """
        if len(asked(self)) >= 3 and not self.stalled.is_set():
            self.latency = 60
            self.stalled.set()
        return super().handle(call)


@pytest.mark.anyio
async def test_what_a_cancellation_leaves_is_completed(tmp_path: Path) -> None:
    """
    Cancelling in the middle keeps what was made. A second run makes what was not begun, and what
    the provider had taken up is looked up, not paid for twice.
    """
    provider = Stalling()
    jobs = {f"number {number}": f"teapot number {number}" for number in range(8)}
    async with AsyncStudio.offline(tmp_path, provider=provider) as studio:
        async with anyio.create_task_group() as group:

            async def run() -> None:
                await studio.map(jobs, concurrency=2)

            group.start_soon(run)
            await provider.stalled.wait()
            await anyio.sleep(0.1)  # so that what stalls is taken up
            group.cancel_scope.cancel()
        assert len(asked(provider)) < 8
        kept = await studio.images.list()
        assert len(kept) >= 2
    provider.finish()
    async with AsyncStudio.offline(tmp_path, provider=provider) as studio:
        await studio.recover()
        results = await studio.map(jobs, concurrency=2)
        assert results.ok
        assert set(kept) <= set(results)
        assert len(asked(provider)) == len(await studio.images.list()) == 8


# --- takes of one prompt --------------------------------------------------------------------------


@pytest.fixture
def _packed_again() -> Iterator[None]:
    yield
    presets.reset()


def test_variations_are_told_apart(studio: Any, provider: FakeOpenAI) -> None:
    """
    Each take is a picture of its own, asked for in words of its own, and lies among variations.
    """
    results = studio.variations("a teapot", n=3)
    assert (results.ok, len(results)) == (True, 3)
    assert len({result.sha256 for result in results}) == 3
    assert {result.kind for result in results} == {"variation"}
    assert {result.path.parent.name for result in results} == {"variations"}
    assert [result.turn.parameters["take"] for result in results] == [1, 2, 3]
    assert [f"take {number} of 3" in item.prompt for number, item in enumerate(results, 1)] == [
        True
    ] * 3
    assert len(asked(provider)) == 3


def test_variations_of_a_picture_come_from_it(studio: Any, provider: FakeOpenAI) -> None:
    """
    A picture is varied without a word, or as the words say.
    """
    kept = studio.generate("a teapot")
    for words in ("", "in other colours"):
        results = studio.variations(words, image=kept, n=2)
        assert [result.parents for result in results] == [(kept.id,)] * 2
        assert all((words or "variation of this picture") in result.prompt for result in results)
    assert "input_image" in str(asked(provider)[-1])


@pytest.mark.parametrize(
    "verb,arguments",
    [
        ("variations", {"prompt": "a teapot", "n": 4}),
        ("product", {"description": "a mug", "n": 4}),
        ("preset", {"name": "product", "subject": "a mug", "n": 4}),
    ],
)
def test_takes_are_reported_one_by_one(
    make_studio: MakeStudio, tmp_path: Path, verb: str, arguments: dict[str, Any]
) -> None:
    """
    Where takes fail, the others are there, and all failing is not called a success.
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
def test_takes_are_made_side_by_side(
    make_studio: MakeStudio, tmp_path: Path, verb: str, arguments: dict[str, Any]
) -> None:
    """
    Four takes are under way at once.
    """
    provider = Gauge(expected=4)
    assert getattr(make_studio(tmp_path, provider=provider), verb)(**arguments).ok
    assert provider.most == 4


@pytest.mark.parametrize("verb,arguments", [("variations", {"n": 3}), ("product", {"n": 3})])
def test_takes_in_a_session_are_siblings(studio: Any, verb: str, arguments: dict[str, int]) -> None:
    """
    In a session all takes grow on the same picture, and any of them can be gone on with.
    """
    session = studio.session("Mugs")
    first = session.generate("a mug")
    results = getattr(session, verb)("a blue mug", **arguments)
    assert [result.parent for result in results] == [first.turn.id] * 3
    assert {result.session_id for result in results} == {session.id}
    assert session.checkout(results[0]).id == results[0].id
    assert session.generate("warmer").parent == results[0].turn.id
    other = session.branch("other", at=results[1])
    assert other.generate("cooler").parent == results[1].turn.id


@pytest.mark.parametrize("count", [0, 11, -1, 2.0, True, "3"])
def test_takes_are_from_one_to_ten(studio: Any, provider: FakeOpenAI, count: object) -> None:
    """
    A number of takes that makes no sense is refused before anything is sent.
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
def test_a_wrong_call_for_takes_is_one_error(
    studio: Any, provider: FakeOpenAI, verb: str, args: Any, options: dict[str, Any]
) -> None:
    """
    What is wrong with every take is raised once, before anything is sent.
    """
    for where in (studio, studio.session("x")):
        with pytest.raises(InvalidRequestError):
            getattr(where, verb)(*args, **options)
    assert provider.requests == ()
    assert studio.images.list() == ()


def test_one_take_is_the_plain_prompt(studio: Any) -> None:
    """
    One take is in the caller's words alone; one product without a count is a picture.
    """
    assert studio.variations("a teapot", n=1)[0].prompt == "a teapot"
    assert len(studio.product("a mug", n=1)) == 1
    assert studio.product("a mug").prompt == presets.product.render_prompt("a mug")


@pytest.mark.usefixtures("_packed_again")
def test_a_registered_preset_draws(studio: Any, provider: FakeOpenAI) -> None:
    """
    A preset of one's own is used by its name, by single calls, takes and jobs alike; what a call
    asks for wins over what the preset does.
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
    takes = studio.preset("portrait", "a keeper", params=proud, n=2)
    assert all(take.prompt.startswith("Portrait of a keeper. Proud.") for take in takes)
    (job,) = studio.map([ImageRequest("a keeper", preset="portrait", params=proud)])
    assert job.prompt == "Portrait of a keeper. Proud."
    assert job.turn.parameters["preset"] == "portrait"
    with pytest.raises(InvalidOptionError, match="mood"):
        studio.preset("portrait", "a keeper", params={"mood": "angry"})
    assert len(asked(provider)) == 5

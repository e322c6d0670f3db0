"""
What newcomers write first, from other APIs and from habit, works or is answered with a remedy.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import openai
import pytest

from imagesession import AsyncStudio, Budget, ImageRequest, Mask, SavedImage, Studio
from imagesession._domain.foreign_words import REMEDIES
from imagesession._domain.model_catalog import load_catalogue
from imagesession._domain.options import OPTION_NAMES, GenerateOptions
from imagesession.errors import (
    ImageSessionError,
    InvalidOptionError,
    InvalidRequestError,
    ModelRetiredError,
)
from imagesession.testing import FakeOpenAI, tiny_image

PICTURE = tiny_image()
MAX_MESSAGE = 300
TODAY = dt.datetime.now(dt.UTC).date()

# --- taken, because it can only mean one thing -------------------------------------------------

TAKEN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"quality": "HIGH"}, {"quality": "high"}),
    ({"quality": "hd"}, {"quality": "high"}),
    ({"output_format": "JPG"}, {"output_format": "jpeg"}),
    ({"background": " Opaque "}, {"background": "opaque"}),
    ({"background": None, "size": None}, {}),
    ({"size": "1920*1088"}, {"size": "1920x1088"}),
    ({"size": 1024}, {"size": "1024x1024"}),
    ({"size": "1024"}, {"size": "1024x1024"}),
    ({"size": "16:9"}, {"size": "1536x864"}),
    ({"size": "16/9"}, {"size": "1536x864"}),
    ({"size": "Landscape"}, {"size": "1536x1024"}),
    ({"size": "portrait"}, {"size": "1024x1536"}),
    ({"size": "square"}, {"size": "1024x1024"}),
    ({"size": (1920, 1080)}, {"size": "1920x1088"}),
    ({"size": (1536, 864)}, {"size": "1536x864"}),
    ({"aspect_ratio": "9:16"}, {"size": "864x1536"}),
    ({"size": "16:9", "image_model": "gpt-image-1.5"}, {"size": "1536x1024"}),
    ({"size": "4:3", "image_model": "gpt-image-1.5"}, {"size": "1536x1024"}),
]


@pytest.mark.filterwarnings("ignore::imagesession.errors.ModelDeprecationWarning")
@pytest.mark.parametrize("written,meant", TAKEN)
def test_other_words_are_taken(studio: Any, written: dict[str, Any], meant: dict[str, Any]) -> None:
    """
    Words in any case, shapes, ratios and tuples are taken; the turn has what was requested and what
    was made of it.
    """
    studio.estimate("a fox", **written)
    turn = studio.generate("a fox", **written).turn
    changed = turn.options.changed()
    assert {name: changed[name] for name in changed if name != "image_model"} == meant
    shape = written.get("aspect_ratio", written.get("size"))
    is_shape = ":" in GenerateOptions().updated({"size": shape}).size
    assert ("requested_size" in turn.parameters) is is_shape


def test_shape_of_a_session_is_kept_as_a_shape(studio: Any) -> None:
    """
    A session's shape holds for whichever image model its turns have.
    """
    session = studio.session("tea", size="16:9")
    assert session.generate("a pot").turn.options.size == "1536x864"
    assert session.generate("a cup", size="square").turn.options.size == "1024x1024"
    assert session.analyze(goals="colours").turn.options.size == "1536x864"


# --- answered ----------------------------------------------------------------------------------


def _unawaited(studio: Studio) -> Any:
    library = AsyncStudio.offline(studio.library)
    pending = library.generate("a fox")
    try:
        return studio.edit("bluer", image=pending)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    finally:
        pending.close()
        asyncio.run(library.close())


Call = Callable[[Any], Any]
OPEN: Any = Studio
# A mistake, and what the answer has to name.
MISTAKES: list[tuple[str, Call, str]] = [
    ("several", lambda s: s.generate("a fox", n=4), r"variations\(prompt, n=4\)"),
    ("num_images", lambda s: s.generate("a fox", num_images=4), r"variations\("),
    ("seed", lambda s: s.generate("a fox", seed=7), "has no seed"),
    ("style", lambda s: s.generate("a fox", style="vivid"), "in the prompt"),
    ("negative", lambda s: s.generate("a fox", negative_prompt="text"), "in the prompt"),
    ("b64", lambda s: s.generate("a fox", response_format="b64_json"), r"to_base64\(\)"),
    ("user", lambda s: s.generate("a fox", user="u1"), "safety_identifier="),
    ("filename", lambda s: s.generate("a fox", filename="fox.png"), r"image\.save\("),
    ("path", lambda s: s.generate("a fox", path="fox.png"), r"image\.save\("),
    ("folder", lambda s: s.generate("a fox", output_dir="x"), r"Studio\(library="),
    ("steps", lambda s: s.generate("a fox", steps=30), "quality="),
    ("width", lambda s: s.generate("a fox", width=512), 'size="16:9"'),
    ("image", lambda s: s.generate("a fox", image=PICTURE), r"edit\(prompt, image="),
    ("partial", lambda s: s.generate("a fox", partial_images=2), r"stream\(prompt"),
    ("typo", lambda s: s.edit("bluer", image=PICTURE, refrences=PICTURE), "'references'"),
    ("typo of a word", lambda s: s.edit("bluer", image=PICTURE, refrence=PICTURE), "'references'"),
    ("typo in map", lambda s: s.map(["x"], refrence=PICTURE), "ImageRequest"),
    ("typo of another verb's", lambda s: s.variations("x", masks=PICTURE), r"edit\(prompt"),
    (
        "typo of a studio",
        lambda _: cast("Any", Studio).offline(embed_metdata=True),
        "'embed_metadata'",
    ),
    ("standard", lambda s: s.generate("a fox", quality="standard"), "Nearest: 'medium'"),
    ("white", lambda s: s.generate("a fox", background="white"), "Nearest: 'opaque'"),
    ("pixels", lambda s: s.generate("a fox", size="1920x1080"), "1920x1088"),
    ("size", lambda s: s.generate("a fox", size="huge"), '"16:9"'),
    ("long shape", lambda s: s.generate("a fox", size="10:1"), "Nearest: "),
    ("twice", lambda s: s.generate("a fox", size="1:1", aspect_ratio="3:2"), "Leave one"),
    ("order", lambda s: s.edit(PICTURE, "bluer"), r"Write edit\(prompt, …=…\)"),
    ("no text", lambda s: s.generate(PICTURE), "prompt first"),
    ("dall-e", lambda s: s.generate("a fox", model="dall-e-3"), "image_model='gpt-image"),
    ("kind", lambda s: s.generate("a fox", model="gpt-image-2"), "pass it as image_model"),
    ("await", _unawaited, 'write "await"'),
    ("key", lambda _: OPEN("sk-proj-abcdef"), r"Studio\(api_key="),
    ("budget", lambda s: OPEN(s.library, budget=5.0), r"Budget\(per_day=5\.0\)"),
    ("output_dir", lambda _: OPEN(output_dir="x"), r"Studio\(library="),
    ("page", lambda s: s.edit("bluer", image=b"<!DOCTYPE html>"), "HTML page"),
    ("url", lambda s: s.edit("bluer", image="https://a.example/b.png"), "Download it"),
    ("name", lambda s: s.open("Tee logo"), "Tea logo"),
    ("standalone", lambda s: s.generate("a fox").branch(), r"studio\.promote\("),
    ("nothing to edit", lambda s: s.edit("bluer"), "image="),
    ("transparent", lambda s: s.generate("a fox", transparent=True), 'background="transparent"'),
    ("messages", lambda s: s.generate("a fox", messages=[]), r"generate\(prompt\)"),
    ("callback", lambda s: s.generate("a fox", callback=print), "on_progress="),
    ("unlike any", lambda s: s.generate("a fox", zzz=1), r"help\(\)"),
    ("offline", lambda _: OPEN(offline=True), r"Studio\.offline\(\)"),
    ("library", lambda _: OPEN(7), "path of a folder"),
    ("library of bytes", lambda _: OPEN(b"x"), "path of a folder"),
    ("many prompts", lambda s: s.generate(["a fox", "a cat"]), r"studio\.map\("),
    ("many images", lambda s: s.edit("bluer", image=[PICTURE, PICTURE]), "references="),
    ("box", lambda s: s.edit("x", image=PICTURE, mask=(0, 0, 9, 9)), r"Mask\.rectangle\(box\)"),
    ("mask of a path", lambda _: cast("Any", Mask)("mask.png"), r"Mask\.from_file\(path\)"),
    ("number as a key", lambda s: s.generate("a fox", idempotency_key=7), "int, not text"),
    ("number as a name", lambda s: s.open(7), "int, not text"),
    ("number as a path", lambda s: s.generate("a fox").save(7), "as text or as a Path"),
    ("class", lambda s: OPEN(s.library, client=openai.OpenAI).generate("x"), r"an openai\.OpenAI"),
    ("branch for a turn", lambda s: s.open("Tea logo").checkout("main"), "branch='main'"),
]  # fmt: skip


@pytest.mark.parametrize(
    "call,remedy", [case[1:] for case in MISTAKES], ids=[c[0] for c in MISTAKES]
)
def test_mistake_is_answered_with_its_remedy(tmp_path: Path, call: Call, remedy: str) -> None:
    """
    A newcomer's mistake raises an error of at most 300 characters that names the remedy.
    """
    provider = FakeOpenAI()
    with Studio.offline(tmp_path / "library", provider=provider) as studio:
        studio.session("Tea logo", name="Tea logo")
        with pytest.raises(ImageSessionError, match=remedy) as caught:
            call(studio)
    assert len(caught.value.message) <= MAX_MESSAGE
    assert "sk-proj" not in caught.value.message
    assert not (tmp_path / "sk-proj-abcdef").exists()


# --- every advice works ------------------------------------------------------------------------

WRONG_VALUES = [
    *(("quality", word) for word in ("standard", "best", "ultra", "hgh", "premium")),
    *(("background", word) for word in ("white", "none", "transparant", "green")),
    *(("output_format", word) for word in ("tiff", "bmp", "pngg", "pdf", "avif", "mp4")),
    *(("moderation", word) for word in ("off", "none", "lo")),
    *(("size", word) for word in ("1000x1000", "huge", "10:1", "1:9", "8000x10")),
    ("output_compression", 101),
    ("frames", 99),
    ("model", ""),
]


@pytest.mark.parametrize("option,value", WRONG_VALUES)
def test_advised_value_is_accepted(tmp_path: Path, option: str, value: object) -> None:
    """
    Every value that an error names as near is accepted by the same call.
    """
    with Studio.offline(tmp_path) as studio:
        formats = {
            "output_compression": {"output_format": "jpeg"},
            "frames": {"output_format": "gif"},
        }
        others: dict[str, Any] = formats.get(option, {})
        others[option] = value
        with pytest.raises(InvalidOptionError) as caught:
            studio.estimate("a fox", **others)
        assert caught.value.nearest
        for near in caught.value.nearest:
            advised = int(near) if near.isdecimal() else near
            others[option] = advised
            studio.estimate("a fox", **others)


SNIPPET = re.compile(r"(?:(studio|image|Studio)\.)?\b(\w+)\(([^()]*)\)")


@pytest.mark.parametrize("word", REMEDIES)
def test_remedy_names_what_exists(word: str) -> None:
    """
    Every method and keyword that a remedy names exists, and takes what the remedy says; a word that
    has become an option needs no remedy.
    """
    remedy = REMEDIES[word]
    assert word not in OPTION_NAMES
    owners: dict[str, Any] = {"studio": Studio, "image": SavedImage, "Studio": Studio, "": Studio}
    for owner, name, arguments in SNIPPET.findall(remedy):
        named = {"Studio": Studio, "Budget": Budget, "ImageRequest": ImageRequest}.get(name)
        verb = named or getattr(owners[owner], name)
        taken = inspect.signature(verb).parameters
        assert set(re.findall(r"(\w+)=", arguments)) <= set(taken), (word, name)
    for keyword in re.findall(r"Write (\w+)=", remedy):
        known = {*inspect.signature(Studio.edit).parameters, *OPTION_NAMES}
        if keyword != "safety_identifier":
            assert keyword in known


@pytest.mark.parametrize("keyword", ["action", "name", "seed", "style", "zzz", "n", "image"])
def test_no_hint_misleads(tmp_path: Path, keyword: str) -> None:
    """
    A word that is like no option is not answered with one that merely looks alike.
    """
    options: dict[str, Any] = {keyword: "x"}
    with Studio.offline(tmp_path) as studio, pytest.raises(InvalidRequestError) as caught:
        studio.generate("a fox", **options)
    assert "Did you mean" not in caught.value.message


def test_replacement_of_a_retired_model_is_accepted(tmp_path: Path) -> None:
    """
    The replacement that the error of a retired model names, under the keyword that it names, works.
    """
    retired = [model for model in load_catalogue().models.values() if model.is_retired(TODAY)]
    assert retired
    with Studio.offline(tmp_path) as studio:
        for model in retired:
            with pytest.raises(ModelRetiredError) as caught:
                studio.estimate("a fox", model=model.id)
            advised = re.search(r"Use (\w+)='(\S+)'", caught.value.message)
            assert advised
            options: dict[str, Any] = {advised[1]: advised[2]}
            studio.estimate("a fox", **options)


# --- bounded messages --------------------------------------------------------------------------

LONG = "x" * 10_000


def _unknown() -> Any:
    return {LONG: 1}


LONG_CALLS: list[Call] = [
    *(lambda s, name=name: s.generate("a fox", **{name: LONG}) for name in OPTION_NAMES
      if name not in {"model", "image_model", "svg_model"}),
    lambda s: s.generate("a fox", **{LONG: 1}),
    lambda s: s.generate("a fox", size=LONG),
    lambda s: s.generate("a fox", references=LONG),
    lambda s: s.edit("a fox", image=LONG, mask=LONG),
    lambda s: s.preset(LONG, "a fox"),
    lambda s: s.product("a fox", angle=LONG),
    lambda s: s.variations("a fox", n=LONG),
    lambda s: s.estimate("a fox", n=LONG),
    lambda s: list(s.stream("a fox", partial_images=LONG)),
    lambda s: s.open(LONG),
    lambda s: s.open(s.session("t").id, branch=LONG),
    lambda s: s.session("t", provider_state=LONG),
    lambda s: s.session("t", remember=LONG),
    lambda s: s.session("t").branch(at=LONG),
    lambda s: s.session("t").checkout(LONG),
    lambda s: s.session("t").undo(LONG),
    lambda s: s.images.get(LONG),
    lambda s: s.images.list(session=LONG),
    lambda s: s.images.list(kind=LONG),
    lambda s: s.images.list(since=LONG),
    lambda s: s.images.list(limit=LONG),
    lambda s: s.models.get(LONG),
    lambda s: s.models.list(kind=LONG),
    lambda s: s.costs(group_by=LONG),
    lambda s: s.requests.cancel(LONG),
    lambda s: s.batches.get(LONG),
    lambda s: s.batches.create(["a fox"], quality=LONG),
    lambda s: s.map(["a fox"], max_concurrency=LONG),
    lambda s: s.map(["a fox"], images_per_minute=LONG),
    lambda s: s.recover(timeout=LONG),
    lambda s: s.sessions.import_archive(LONG),
    lambda s: s.session("t").export(LONG),
    lambda s: s.gallery(LONG),
    lambda s: s.session("t").contact_sheet(columns=LONG),
    lambda s: s.generate("a fox").save(LONG),
    lambda s: s.generate("a fox").as_png(max_side=LONG),
    lambda s: OPEN(s.library, budget=LONG),
    lambda s: OPEN(s.library, timeout=LONG),
    lambda s: OPEN(s.library, max_concurrency=LONG),
    lambda s: OPEN(s.library, images_per_minute=LONG),
    lambda s: OPEN(s.library, **_unknown()),
]  # fmt: skip


@pytest.mark.parametrize("call", LONG_CALLS, ids=range(len(LONG_CALLS)))
def test_message_repeats_little_of_an_argument(tmp_path: Path, call: Call) -> None:
    """
    No message repeats more than 80 characters of an argument.
    """
    with Studio.offline(tmp_path) as studio, pytest.raises(ImageSessionError) as caught:
        call(studio)
    assert "x" * 81 not in caught.value.message

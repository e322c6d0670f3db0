"""
Errors for wrong arguments, and help texts: short, and with public names.
"""

from __future__ import annotations

import functools
import inspect
import operator
import pydoc
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import imagesession
from imagesession import AsyncStudio, Studio, errors, presets, testing
from imagesession.testing import tiny_image

# Public classes with methods, in both twins.
HELD = [
    value
    for name in imagesession.__all__
    if re.fullmatch(r"(Async)?(Studio|ImageSession|SavedImage|ImageBatch|\w+Resource)", name)
    for value in [getattr(imagesession, name)]
]
PACKAGE = Path(imagesession.__file__).parent
MAX_FRAMES = 4
# Wrong calls: a method, its arguments, and its keywords.
WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("generate", ("",), {}),
    ("generate", ("a fox",), {"quality": "ultra"}),
    ("generate", ("a fox",), {"size": "1000x1000"}),
    ("generate", ("a fox",), {"colour": "red"}),
    ("generate", ("a fox",), {"image": b"x"}),
    ("generate", ("a fox",), {"n": 2}),
    ("generate", ("a fox",), {"references": "/nowhere.png"}),
    ("generate", ("a fox",), {"on_progress": 7}),
    ("edit", ("bluer",), {"image": b"no image"}),
    ("edit", ("bluer",), {"mask": "/nowhere.png"}),
    ("variations", ("a fox",), {"n": 0}),
    ("variations", ("a fox",), {"n": 2, "background_type": "white"}),
    ("preset", ("no such preset", "a fox"), {}),
    ("preset", ("product", "a fox"), {"params": {"angle": "below"}}),
    ("product", ("a fox",), {"angle": "below"}),
    ("product", ("a fox",), {"image": b"x"}),
    ("ui_asset", ("icon", "a fox"), {"theme": "gothic", "n": 2}),
    ("analyze", (b"no image",), {}),
    ("improve", ("crisper",), {"image": tiny_image(), "references": tiny_image()}),
    ("improve", (7,), {"image": tiny_image()}),
    ("estimate", ("a fox",), {"n": 0}),
]
WRONG_ON_A_STUDIO: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("session", ("x",), {"size": "1x"}),
    ("open", ("nothing",), {}),
    ("promote", (b"no image",), {}),
    ("images.get", ("nothing",), {}),
    ("images.list", (), {"session": "nothing"}),
    ("images.import_file", (b"no image",), {}),
    ("sessions.get", ("nothing",), {}),
    ("sessions.import_archive", ("/nowhere.zip",), {}),
    ("batches.create", ("a fox",), {}),
    ("batches.create", (["a fox"],), {"quality": "ultra"}),
    ("batches.get", ("nothing",), {}),
    ("models.get", ("nothing",), {}),
    ("requests.cancel", ("nothing",), {}),
    ("costs", (), {"group_by": "colour"}),
    ("recover", (), {"timeout": -1}),
    ("map", (["a fox"],), {"size": "1x"}),
    ("map", ("a fox",), {}),
]


def private_classes() -> set[str]:
    """
    Return the package's classes that users cannot import under their own name.
    """
    public = {*imagesession.__all__, *testing.__all__, *presets.__all__}
    return {
        name
        for room, module in list(sys.modules.items())
        if room.startswith("imagesession._")
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__.startswith("imagesession._")
    } - public


def words(text: str) -> set[str]:
    """
    Return the words of a text.
    """
    return set(re.findall(r"\w+", text))


def signatures(kind: type) -> Iterator[str]:
    """
    Yield what users see of a class: its bases, and the signatures of its members.
    """
    yield " ".join(base.__name__ for base in kind.__mro__)
    for name, member in inspect.getmembers(kind):
        if not name.startswith("_") and callable(member):
            yield str(inspect.signature(member))


@pytest.mark.parametrize("kind", HELD)
def test_signatures_name_no_private_class(kind: type) -> None:
    """
    Every name in a signature can be imported, or is an alias that the reference explains.
    """
    assert "Runtime" in private_classes()
    for signature in signatures(kind):
        assert not words(signature) & private_classes()


@pytest.mark.parametrize("kind", [Studio, AsyncStudio])
def test_help_names_no_private_class(kind: type) -> None:
    """
    `help()` contains public names only, in prose, signatures and annotations.
    """
    text = re.sub(r".\x08", "", pydoc.render_doc(kind))  # bold letters are overstruck
    assert "imagesession._" not in text
    assert not re.findall(r"\b_+[A-Z]\w*", text)
    assert not {"Runtime", "AsyncRuntime", "LazyClient", "ImageT", "OptionParams"} & words(text)


def test_pythons_own_errors_name_no_private_class(tmp_path: Path) -> None:
    """
    The error for a missing or unknown argument names the method, not a private class.
    """
    studio: Any = Studio.offline(tmp_path)
    for target in (studio, studio.session("x")):
        for name in ("generate", "edit", "preset", "product", "ui_asset", "improve"):
            with pytest.raises(TypeError, match=rf"^{name}\(\) missing"):
                getattr(target, name)()
        with pytest.raises(TypeError, match=r"^analyze\(\) got an unexpected"):
            target.analyze(references="x")


@pytest.mark.parametrize("verb,args,keywords", WRONG)
def test_wrong_argument_has_a_short_traceback(
    studio: Any, verb: str, args: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    """
    A wrong argument is an `InvalidRequestError`, raised before anything is sent, whose traceback
    has at most four frames of the library and whose message names no private class.
    """
    for target in (studio, studio.session("x")):
        error = raised_by(functools.partial(getattr(target, verb), *args, **keywords))
        assert not words(error.message) & private_classes()
        assert len(library_frames(error)) <= MAX_FRAMES


@pytest.mark.parametrize("verb,args,keywords", WRONG_ON_A_STUDIO)
def test_wrong_argument_to_a_studio_has_a_short_traceback(
    studio: Any, verb: str, args: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    """
    The studio's own methods and its resources have short tracebacks too.
    """
    call = operator.attrgetter(verb)(studio)
    error = raised_by(functools.partial(call, *args, **keywords))
    assert len(library_frames(error)) <= MAX_FRAMES


@pytest.mark.parametrize("keywords", [{"quality": "ultra"}, {"colour": "red"}, {"timeout": 0}])
def test_failed_constructor_has_a_short_traceback(tmp_path: Path, keywords: dict[str, Any]) -> None:
    """
    So does every way to create a studio.
    """
    make: Any
    for make in (Studio, Studio.offline, Studio.from_env):
        error = raised_by(functools.partial(make, tmp_path, **keywords))
        assert len(library_frames(error)) <= MAX_FRAMES


def test_wrong_argument_to_a_stream_has_a_short_traceback(studio: Any) -> None:
    """
    A stream raises at its first event.
    """
    assert len(library_frames(raised_by(lambda: list(studio.stream(""))))) <= MAX_FRAMES


def raised_by(call: Callable[[], object]) -> errors.InvalidRequestError:
    """
    Return the error that a call raises.
    """
    with pytest.raises(errors.InvalidRequestError) as error:
        call()
    return error.value


def library_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """
    Return the frames of a traceback that are in the package.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]

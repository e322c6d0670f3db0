"""
The public face: what it exports, that its twins are in step, and that it explains itself.
"""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from typing import Any

import pytest

import imagesession
from imagesession import (
    AsyncBatchesResource,
    AsyncImageBatch,
    AsyncImageSession,
    AsyncImagesResource,
    AsyncModelsResource,
    AsyncRequestsResource,
    AsyncSavedImage,
    AsyncSessionsResource,
    AsyncStudio,
    BatchesResource,
    ImageBatch,
    ImageSession,
    ImagesResource,
    ModelsResource,
    RequestsResource,
    SavedImage,
    SessionsResource,
    Studio,
    errors,
)
from imagesession._domain.options import OPTION_NAMES

TWINS = [
    (Studio, AsyncStudio),
    (ImageSession, AsyncImageSession),
    (ImageBatch, AsyncImageBatch),
    (SavedImage, AsyncSavedImage),
    (SessionsResource, AsyncSessionsResource),
    (ImagesResource, AsyncImagesResource),
    (BatchesResource, AsyncBatchesResource),
    (ModelsResource, AsyncModelsResource),
    (RequestsResource, AsyncRequestsResource),
]
VERBS = [
    "generate",
    "stream",
    "edit",
    "variations",
    "preset",
    "product",
    "ui_asset",
    "analyze",
    "improve",
    "estimate",
]
COLLECTIONS = {
    "sessions": "SessionsResource",
    "images": "ImagesResource",
    "batches": "BatchesResource",
    "models": "ModelsResource",
    "requests": "RequestsResource",
}
# The names by which context managers are entered and left are the language's, not ours.
RENAMED = {"__enter__": "__aenter__", "__exit__": "__aexit__"}


def verbs(kind: type) -> dict[str, Any]:
    """
    Return the public methods of a class.
    """
    members = inspect.getmembers(
        kind, lambda item: inspect.isfunction(item) or inspect.ismethod(item)
    )
    return {name: item for name, item in members if not name.startswith("_") or name in RENAMED}


@pytest.mark.parametrize("sync,other", TWINS)
def test_twins_have_the_same_verbs(sync: type, other: type) -> None:
    """
    Every verb of one twin is a verb of the other, with the same arguments in the same order.
    """
    ours = {RENAMED.get(name, name): verb for name, verb in verbs(sync).items()}
    theirs = {
        name: verb
        for name, verb in inspect.getmembers(other, callable)
        if name in ours and (inspect.isfunction(verb) or inspect.ismethod(verb))
    }
    assert set(ours) == set(theirs)
    assert set(verbs(other)) - set(RENAMED) <= set(ours)
    for name, verb in ours.items():
        mine, its = inspect.signature(verb).parameters, inspect.signature(theirs[name]).parameters
        assert list(mine) == list(its), name
        assert [item.default for item in mine.values()] == [
            item.default for item in its.values()
        ], name
        assert [item.kind for item in mine.values()] == [item.kind for item in its.values()], name


@pytest.mark.parametrize(
    "studio,session", [(Studio, ImageSession), (AsyncStudio, AsyncImageSession)]
)
def test_studios_and_sessions_have_the_same_verbs(studio: type, session: type) -> None:
    """
    What makes images is one and the same on a studio and on a session.
    """
    for name in VERBS:
        assert getattr(studio, name) is getattr(session, name)


def test_a_studio_has_its_verbs_and_collections_and_nothing_else() -> None:
    """
    What a studio lists and fetches stands in collections; its verbs are few.
    """
    own = "session open promote map recover costs stats doctor gallery close"
    made = "offline from_env library provider"
    assert public_names(Studio) == {*VERBS, *COLLECTIONS, *own.split(), *made.split()}
    found = {name: public_names(getattr(imagesession, kind)) for name, kind in COLLECTIONS.items()}
    assert found == {
        "sessions": {"list", "get", "import_archive"},
        "images": {"list", "get", "find", "import_file"},
        "batches": {"create", "list", "get"},
        "models": {"list", "get"},
        "requests": {"pending", "cancel"},
    }


def public_names(kind: type) -> set[str]:
    """
    Name what users see of a class.
    """
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize("sync,other", TWINS)
def test_twins_document_the_same(sync: type, other: type) -> None:
    """
    The async twin's docstrings point to the sync twin's.
    """
    for name, verb in verbs(other).items():
        inherited = name in vars(sync.__mro__[1])
        doc = inspect.getdoc(verb) or ""
        named = {f"Same as `{kind}.{name}`" in doc for kind in (sync.__name__, "Studio")}
        assert inherited or True in named, name


@pytest.mark.parametrize("kind", [Studio, AsyncStudio, ImageSession, AsyncImageSession])
def test_every_option_is_shown(kind: type) -> None:
    """
    The signatures that people see name every option.
    """
    for name in ("generate", "stream"):
        assert set(OPTION_NAMES) <= set(inspect.signature(getattr(kind, name)).parameters)


@pytest.mark.parametrize("name", imagesession.__all__)
def test_every_name_is_there_and_explains_itself(name: str) -> None:
    """
    What is exported can be had, has a docstring, and calls itself by its public name.
    """
    value = getattr(imagesession, name)
    if inspect.isclass(value):
        assert inspect.getdoc(value)
        assert value.__module__ == "imagesession"
    assert name in dir(imagesession)


@pytest.mark.parametrize("kind", [kind for twins in TWINS for kind in twins])
def test_every_verb_explains_itself(kind: type) -> None:
    """
    Every public method and property has a docstring.
    """
    for name, member in inspect.getmembers(kind):
        named = f" {name}: " in (inspect.getdoc(kind) or "")  # a field, told of in the class
        if not name.startswith("_") and not named:
            assert inspect.getdoc(member), f"{kind.__name__}.{name}"


def test_a_wrong_name_is_an_attribute_error() -> None:
    """
    The lazily loaded package answers for a name that it does not have like any other.
    """
    with pytest.raises(AttributeError, match="no attribute 'studio'"):
        imagesession.studio  # noqa: B018 - asking for it is the point


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_errors_pickle_and_say_what_happened(name: str) -> None:
    """
    Errors travel between processes with all their facts, and stand in the tree that is documented.
    """
    error = getattr(errors, name)("what happened")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is type(error)
    assert str(again) == "what happened"
    assert again.args == error.args
    assert isinstance(error, errors.ImageSessionError)
    assert f"`{name}`" in (errors.__doc__ or "")


def test_errors_keep_their_facts() -> None:
    """
    The facts behind an error survive pickling.
    """
    error = errors.InvalidOptionError("m", "size", "1x1", ("2x2",))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.option, again.value, again.nearest) == ("size", "1x1", ("2x2",))


def test_importing_is_light() -> None:
    """
    Importing the package loads none of the heavy ones, and having a Studio loads no openai.
    """
    script = (
        "import sys, imagesession\n"
        "heavy = {'openai', 'PIL', 'sqlite3', 'mcp', 'httpx2', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from imagesession import Studio\n"
        "heavy = {'openai', 'PIL', 'mcp', 'httpx2', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_looking_at_a_library_needs_no_client() -> None:
    """
    Listing what is kept loads neither openai nor Pillow.
    """
    script = (
        "import sys, tempfile; from imagesession import Studio\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    studio = Studio(folder); studio.session('x')\n"
        "    studio.images.list(); studio.sessions.list()\n"
        "heavy = {'openai', 'PIL', 'httpx2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

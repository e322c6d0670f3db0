"""
The public API: its exports, the sync and async twins, and its documentation.
"""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import imagesession
import imagesession_mcp
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
    "submit",
    "edit",
    "outpaint",
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
# Python sets the names of the methods of context managers.
RENAMED = {"__enter__": "__aenter__", "__exit__": "__aexit__"}


def public_methods(kind: type) -> dict[str, Any]:
    """
    Return the public methods of a class.
    """
    members = inspect.getmembers(
        kind, lambda member: inspect.isfunction(member) or inspect.ismethod(member)
    )
    return {name: member for name, member in members if not name.startswith("_") or name in RENAMED}


@pytest.mark.parametrize("sync,other", TWINS)
def test_twins_have_the_same_methods(sync: type, other: type) -> None:
    """
    Every method of one twin is a method of the other, with the same arguments in the same order.
    """
    ours = {RENAMED.get(name, name): verb for name, verb in public_methods(sync).items()}
    theirs = {
        name: verb
        for name, verb in inspect.getmembers(other, callable)
        if name in ours and (inspect.isfunction(verb) or inspect.ismethod(verb))
    }
    assert set(ours) == set(theirs)
    assert set(public_methods(other)) - set(RENAMED) <= set(ours)
    for name, verb in ours.items():
        mine, its = inspect.signature(verb).parameters, inspect.signature(theirs[name]).parameters
        assert list(mine) == list(its), name
        assert [parameter.default for parameter in mine.values()] == [
            parameter.default for parameter in its.values()
        ], name
        assert [parameter.kind for parameter in mine.values()] == [
            item.kind for item in its.values()
        ], name


@pytest.mark.parametrize(
    "studio,session", [(Studio, ImageSession), (AsyncStudio, AsyncImageSession)]
)
def test_studios_and_sessions_have_the_same_methods(studio: type, session: type) -> None:
    """
    Studios and sessions have the same methods that make images.
    """
    for name in VERBS:
        assert getattr(studio, name) is getattr(session, name)


def test_studio_has_only_its_methods_and_resources() -> None:
    """
    A studio's public attributes are its resources and a few methods.
    """
    own = "session open promote map queue recover costs stats doctor gallery close"
    removal = "empty_bin prune erase_owner"
    constructors = "offline from_env as_owner library owner provider prices"
    assert public_names(Studio) == {
        *VERBS, *COLLECTIONS, *own.split(), *removal.split(), *constructors.split(),
    }  # fmt: skip
    removing = ("delete", "restore", "erase")
    resources = {
        name: public_names(getattr(imagesession, kind)) for name, kind in COLLECTIONS.items()
    }
    assert resources == {
        "sessions": {"list", "get", "import_archive", *removing},
        "images": {"list", "get", "find", "import_file", *removing},
        "batches": {"create", "list", "get", *removing},
        "models": {"list", "get"},
        "requests": {"pending", "cancel", "handle_webhook"},
    }


@pytest.mark.parametrize("name", COLLECTIONS)
def test_resource_says_of_which_library_it_is(studio: Any, name: str) -> None:
    """
    The `repr` of a studio's resource names its kind and the library.
    """
    resource = getattr(studio, name)
    assert re.fullmatch(rf"<(Async)?{name.title()}Resource of .+>", repr(resource))
    assert repr(str(studio.library)) in repr(resource)


def public_names(kind: type) -> set[str]:
    """
    Return the names that users see of a class.
    """
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize("sync,other", TWINS)
def test_twins_have_the_same_documentation(sync: type, other: type) -> None:
    """
    The async twin's docstrings point to the sync twin's.
    """
    for name, verb in public_methods(other).items():
        inherited = name in vars(sync.__mro__[1])
        doc = inspect.getdoc(verb) or ""
        named = {f"Same as `{kind}.{name}`" in doc for kind in (sync.__name__, "Studio")}
        assert inherited or True in named, name


@pytest.mark.parametrize("kind", [Studio, AsyncStudio, ImageSession, AsyncImageSession])
def test_every_option_is_in_the_signature(kind: type) -> None:
    """
    The signatures that users see name every option.
    """
    for name in ("generate", "stream"):
        assert set(OPTION_NAMES) <= set(inspect.signature(getattr(kind, name)).parameters)


@pytest.mark.parametrize("name", imagesession.__all__)
def test_every_export_is_documented(name: str) -> None:
    """
    Every export exists, has a docstring, and has its public name.
    """
    value = getattr(imagesession, name)
    if inspect.isclass(value):
        assert inspect.getdoc(value)
        assert value.__module__ == "imagesession"
    assert name in dir(imagesession)


@pytest.mark.parametrize("kind", [kind for twins in TWINS for kind in twins])
def test_every_method_is_documented(kind: type) -> None:
    """
    Every public method and property has a docstring.
    """
    for name, member in inspect.getmembers(kind):
        named = f" {name}: " in (inspect.getdoc(kind) or "")  # a field, documented in the class
        if not name.startswith("_") and not named:
            assert inspect.getdoc(member), f"{kind.__name__}.{name}"


def test_images_have_one_name() -> None:
    """
    Public docstrings and parameters, and all texts for agents, say "image" and never "picture".
    """
    exports = [getattr(imagesession, name) for name in imagesession.__all__]
    methods = [method for kind in exports for method in public_methods(kind).values()]
    texts = [inspect.getdoc(value) or "" for value in (*exports, *methods)]
    texts += [str(inspect.signature(method)) for method in methods]
    folder = Path(imagesession_mcp.__file__).parent
    texts += [
        file.read_text("utf-8")
        for end in ("py", "toml", "md", "txt")
        for file in folder.rglob(f"*.{end}")
    ]
    assert [text for text in texts if re.search(r"picture|Picture(?!s folder)", text)] == []


def test_unknown_name_is_an_attribute_error() -> None:
    """
    The lazily loaded package raises an AttributeError for an unknown name like any module.
    """
    with pytest.raises(AttributeError, match="no attribute 'studio'"):
        imagesession.studio  # noqa: B018 - asking for it is the point


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_errors_can_be_pickled(name: str) -> None:
    """
    Errors can be pickled with all their attributes, and have the documented base classes.
    """
    error = getattr(errors, name)("what happened")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert str(copy) == "what happened"
    assert copy.args == error.args
    assert isinstance(error, errors.ImageSessionError)
    assert f"`{name}`" in (errors.__doc__ or "")


def test_pickled_errors_keep_their_attributes() -> None:
    """
    The attributes of an error survive pickling.
    """
    error = errors.InvalidOptionError("m", "size", "1x1", ("2x2",))
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (copy.option, copy.value, copy.nearest) == ("size", "1x1", ("2x2",))


def test_import_is_light() -> None:
    """
    Importing the package loads no heavy dependency, and importing Studio does not load openai.
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


def test_first_sketch_loads_no_sockets(tmp_path: Path) -> None:
    """
    An offline image loads neither HTTP/1.1 nor a server: nothing of it goes over a socket.
    """
    script = (
        "import sys; from imagesession import Studio\n"
        "Studio.offline(sys.argv[1]).generate('a fox', size='1024x1024')\n"
        "heavy = {'httpcore2', 'h11', 'http.server', 'jinja2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


def test_listing_a_library_needs_no_client() -> None:
    """
    Listing images loads neither openai nor Pillow.
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

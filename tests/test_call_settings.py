"""
A call has its own timeout, headers and fields, which are sent with its paid requests.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from imagesession.errors import InvalidRequestError, OutcomeUnknownError
from imagesession.testing import FakeOpenAI
from tests.clock import DAY
from tests.conftest import MakeStudio

HEADERS = {"x-gateway-tag": "0"}
BODY = {"user": "user-7", "prompt_cache_key": "teapots"}


def paid(provider: FakeOpenAI) -> list[Any]:
    """
    Return the requests that asked for an image or an analysis.
    """
    return [call for call in provider.requests if call.path.startswith(("/responses", "/images"))]


@pytest.mark.parametrize("method", ["generate", "edit", "variations", "preset", "improve"])
@pytest.mark.parametrize("within", ["studio", "session"])
def test_extras_are_sent(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, method: str, within: str
) -> None:
    """
    Headers and fields of a call are sent with all its paid requests, on a studio and a session, and
    with no other; they are not recorded.
    """
    studio = make_studio(tmp_path, provider=provider)
    verbs = studio.session("a shop") if within == "session" else studio
    first = verbs.generate("a teapot")
    more = {"image": first} if method in {"edit", "improve"} else {}
    arguments = ("catalog", "a teapot") if method == "preset" else ("a teapot",)
    if method == "preset":
        arguments, more = ("product", "a teapot"), {}
    made = getattr(verbs, method)(*arguments, **more, extra_headers=HEADERS, extra_body=BODY)
    verbs.generate("another")
    before, *called, after = paid(provider)
    assert len(called) == (2 if method == "improve" else 1)
    for call in called:
        assert call.headers["x-gateway-tag"] == "0"
        assert {name: call.body[name] for name in BODY} == BODY
    for call in (before, after):
        assert "x-gateway-tag" not in call.headers
        assert "user" not in call.body
    image = made.image if method == "improve" else made
    assert "user-7" not in str(image.metadata)


def test_extras_of_a_studio_and_of_many(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A studio's headers and fields are sent with every paid request; those of a call are added, and
    those of `map` go with each of its images.
    """
    studio = make_studio(tmp_path, provider=provider, extra_headers=HEADERS, extra_body=BODY)
    studio.generate("a teapot", extra_headers={"x-team": "shop"}, extra_body={"user": "user-8"})
    studio.map(["a cup", "a bowl"], extra_body={"user": "user-9"}, timeout=60)
    first, *others = paid(provider)
    assert (first.headers["x-team"], first.headers["x-gateway-tag"]) == ("shop", "0")
    assert first.body["user"] == "user-8"
    assert [call.body["user"] for call in others] == ["user-9", "user-9"]
    assert all(call.body["prompt_cache_key"] == "teapots" for call in (first, *others))


def test_extras_reach_the_images_api(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Servers without the Responses API get them too, in JSON and in forms.
    """
    provider = FakeOpenAI(responses=False)
    studio = make_studio(tmp_path, provider=provider, extra_headers=HEADERS)
    image = studio.generate("a teapot", extra_body={"user": "user-7"})
    studio.edit("bluer", image=image, extra_body={"user": "user-7"})
    generation, edit = (call for call in paid(provider) if call.path != "/responses")
    assert generation.body["user"] == "user-7"
    assert ("user", "user-7") in [(field.name, field.text) for field in edit.body]
    assert edit.headers["x-gateway-tag"] == "0"


@pytest.mark.parametrize("verb", ["generate", "analyze"])
def test_timeout_of_a_call(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, verb: str
) -> None:
    """
    A call waits for its own timeout and not for the studio's, which the next call has again.
    """
    studio = make_studio(tmp_path, provider=provider, timeout=DAY)
    image = studio.generate("a teapot")
    provider.latency = DAY
    start = time.monotonic()
    arguments = (image,) if verb == "analyze" else ("another",)
    with pytest.raises(OutcomeUnknownError):
        getattr(studio, verb)(*arguments, timeout=0.5)
    assert time.monotonic() - start < DAY / 2
    provider.latency = 0
    assert studio.generate("a third").bytes


@pytest.mark.parametrize(
    "arguments,words",
    [
        ({"timeout": 0}, "timeout=0 "),
        ({"timeout": "soon"}, "timeout='soon'"),
        ({"timeout": True}, "timeout=True"),
        (
            {"extra_headers": {"Authorization": "Bearer other-key"}},
            "replace 'Authorization'",
        ),
        ({"extra_headers": {"API-Key": "other-key"}}, "cannot replace 'API-Key'"),
        ({"extra_headers": {"x-a": "two\r\nlines"}}, "one line"),
        ({"extra_headers": {"x a": "b"}}, "names no header"),
        ({"extra_headers": "x-a: b"}, "extra_headers='x-a: b' is not a mapping"),
        ({"extra_body": {"input": "other words"}}, "cannot replace 'input'"),
        ({"extra_body": {"x": object()}}, "cannot be sent as JSON"),
        ({"extra_body": ["user"]}, r"extra_body=\['user'\] is not a mapping"),
    ],
)
def test_invalid_settings_are_refused(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    arguments: dict[str, Any],
    words: str,
) -> None:
    """
    Settings that cannot be sent, or would replace what the library and its client send, are refused
    before anything is sent; a message does not show the value of a header.
    """
    studio = make_studio(tmp_path, provider=provider)
    with pytest.raises(InvalidRequestError, match=words) as caught:
        studio.generate("a teapot", **arguments)
    assert "other-key" not in str(caught.value)
    assert provider.requests == ()
    if "timeout" not in arguments:
        with pytest.raises(InvalidRequestError, match=words):
            make_studio(tmp_path / "other", **arguments)


def test_secret_header_is_not_shown(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A server that repeats the token of a gateway in its error does not bring it into the message.
    """
    provider.fail_next(status=400, error={"message": "bad token t0p-secret-t0ken", "code": "x"})
    with pytest.raises(InvalidRequestError, match="bad token") as caught:
        make_studio(tmp_path, provider=provider).generate(
            "a teapot", extra_headers={"x-gateway-token": "t0p-secret-t0ken"}
        )
    assert "t0p-secret" not in str(caught.value)

"""
Providers without a feature.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest

from imagesession._fake_openai.scripting import FEATURES, Feature
from imagesession.testing import FakeOpenAI, tiny_image

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk

Json = dict[str, Any]
PARAMS = {"background": "tools", "files": "input"}
CODES = {"stream": "unsupported_value"}


def request_with(talk: "Talk", feature: Feature) -> Json:
    """
    Build a request that uses one feature and no other.
    """
    values: dict[Feature, Callable[[], object]] = {
        "background": lambda: True,
        "stream": lambda: True,
        "store": lambda: True,
        "conversation": lambda: talk.client.conversations.create().id,
        "previous_response_id": lambda: talk.make()["id"],
        "prompt_cache_key": lambda: "tea",
    }
    if feature == "files":
        return talk.body([_message_with_file(_upload(talk))], None, {})
    return talk.body("tea", None, {feature: values[feature]()})


def _upload(talk: "Talk") -> str:
    picture = tiny_image(size=(1024, 1024))
    return talk.client.files.create(file=("in.png", picture), purpose="vision").id


def _message_with_file(file_id: str) -> Json:
    return {"role": "user", "content": [{"type": "input_image", "file_id": file_id}]}


def _refused(talk: "Talk", body: Json, path: str = "/responses") -> tuple[int, Json]:
    with pytest.raises(openai.APIStatusError) as caught:
        talk.post(body, path)
    return caught.value.status_code, caught.value.response.json()["error"]


@pytest.mark.parametrize("feature", FEATURES)
def test_feature_is_refused_until_it_is_accepted(
    provider: FakeOpenAI, talk: "Talk", feature: Feature
) -> None:
    """
    Every request that uses a refused feature gets a client error, until the feature is accepted.
    """
    body = request_with(talk, feature)
    provider.refuse(feature)
    for _ in range(2):
        status, error = _refused(talk, body)
        assert (status, error["type"]) == (400, "invalid_request_error")
        assert (error["param"], error["code"]) == (PARAMS.get(feature, feature), CODES.get(feature))
        assert error["message"]
    provider.accept(feature)

    talk.client.post("/responses", body=body, cast_to=openai.BaseModel)
    provider.accept(feature)


@pytest.mark.parametrize("feature", FEATURES)
def test_requests_without_the_feature_are_not_affected(
    provider: FakeOpenAI, talk: "Talk", feature: Feature
) -> None:
    """
    Requests without the feature are answered as usual, and so are free requests.
    """
    made = talk.make()
    provider.refuse(feature)

    assert talk.pictures(talk.make(store=False))
    assert talk.get(f"/responses/{made['id']}")["status"] == "completed"
    assert talk.client.conversations.create().id
    assert _upload(talk)
    assert talk.client.models.list()


def test_refused_background_has_the_service_message(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    The default error is the service's.
    """
    provider.refuse("background")

    assert talk.refused(background=True)[1] == {
        "message": "The image_generation tool is not supported in background mode.",
        "type": "invalid_request_error",
        "param": "tools",
        "code": None,
    }


def test_custom_error_for_a_feature(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    Status and error can be chosen; a second `refuse` replaces them.
    """
    error = {"message": "No.", "type": "nope", "param": None, "code": "no"}
    provider.refuse("background", status=501, error=error)
    assert talk.refused(background=True) == (501, error)

    provider.refuse("background", error=None)
    assert talk.refused(background=True)[0] == 400


def test_store_is_refused_by_default(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A request without `store` is stored, and therefore refused.
    """
    provider.refuse("store")

    assert talk.refused()[1]["param"] == "store"
    assert talk.pictures(talk.make(store=False))


def test_streams_are_refused_everywhere(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    Streams of the Images API and resumed streams are refused, too.
    """
    made = talk.events(background=True)[0]["response"]
    provider.refuse("stream")

    with pytest.raises(openai.BadRequestError):
        talk.resume(made["id"])
    body = {"model": "gpt-image-2", "prompt": "tea", "stream": True}
    assert _refused(talk, body, "/images/generations")[1]["param"] == "stream"
    with pytest.raises(openai.BadRequestError):
        talk.client.images.edit(
            image=("a.png", tiny_image()), model="gpt-image-2", prompt="tea", stream=True
        )


def test_files_are_refused_in_both_apis(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    Images and masks given by a file id are refused by both APIs; inline images and other files are
    not.
    """
    file_id = _upload(talk)
    provider.refuse("files")

    mask = {"input_image_mask": {"file_id": file_id}}
    assert talk.refused("tea", tool=mask)[1]["param"] == "input"
    edit = {"model": "gpt-image-2", "prompt": "tea", "images": [{"file_id": file_id}]}
    assert _refused(talk, edit, "/images/edits")[0] == 400
    assert talk.pictures(talk.make([talk.message("tea", tiny_image())]))
    text = {"type": "input_text", "text": "tea"}
    document = {"type": "input_file", "file_id": file_id}
    assert talk.pictures(talk.make([{"role": "user", "content": [text, document]}]))
    talk.client.images.edit(image=("a.png", tiny_image()), model="gpt-image-2", prompt="tea")


def test_first_refused_feature_is_named(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A request with two refused features is refused for one, and once that is accepted for the other.
    """
    provider.refuse("background")
    provider.refuse("store")
    first = talk.refused(background=True)[1]
    provider.accept("background")

    assert {first["param"], talk.refused(background=True)[1]["param"]} == {"tools", "store"}


def test_invalid_body_uses_no_feature(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    An invalid body gets its own error.
    """
    provider.refuse("background")
    bodies: list[object] = [[], "x"]
    for body in bodies:
        with pytest.raises(openai.BadRequestError, match="expected an object"):
            talk.client.post("/responses", body=body, cast_to=openai.BaseModel)


def test_unknown_feature_is_rejected(provider: FakeOpenAI) -> None:
    """
    An unknown feature raises a ValueError.
    """
    for verb in (provider.refuse, provider.accept):
        with pytest.raises(
            ValueError, match="Unknown feature 'streams'; there are background, stream"
        ):
            verb("streams")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

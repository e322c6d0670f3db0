"""
Providers that do without a feature.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest

from imagesession._fake_openai.unsupported import FEATURES, Feature
from imagesession.testing import FakeOpenAI, tiny_image

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk

Json = dict[str, Any]
PARAMS = {"background": "tools", "files": "input"}
CODES = {"stream": "unsupported_value"}


def uses(talk: "Talk", feature: Feature) -> Json:
    """
    Write a request that uses a feature, and no other but that.
    """
    values: dict[Feature, Callable[[], object]] = {
        "background": lambda: True,
        "stream": lambda: True,
        "store": lambda: True,
        "conversation": lambda: talk.client.conversations.create().id,
        "previous_response_id": lambda: talk.make()["id"],
    }
    if feature == "files":
        return talk.body([_shown(_upload(talk))], None, {})
    return talk.body("tea", None, {feature: values[feature]()})


def _upload(talk: "Talk") -> str:
    picture = tiny_image(size=(1024, 1024))
    return talk.client.files.create(file=("in.png", picture), purpose="vision").id


def _shown(file_id: str) -> Json:
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
    Every request that uses a feature is refused, as a mistake of the caller's, until that ends.
    """
    body = uses(talk, feature)
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
def test_what_uses_no_such_feature_is_left_alone(
    provider: FakeOpenAI, talk: "Talk", feature: Feature
) -> None:
    """
    A request without the feature goes on as ever, and so do the free calls.
    """
    made = talk.make()
    provider.refuse(feature)

    assert talk.pictures(talk.make(store=False))
    assert talk.get(f"/responses/{made['id']}")["status"] == "completed"
    assert talk.client.conversations.create().id
    assert _upload(talk)
    assert talk.client.models.list()


def test_background_is_refused_in_the_words_of_the_service(
    provider: FakeOpenAI, talk: "Talk"
) -> None:
    """
    The words are those that were seen.
    """
    provider.refuse("background")

    assert talk.refused(background=True)[1] == {
        "message": "The image_generation tool is not supported in background mode.",
        "type": "invalid_request_error",
        "param": "tools",
        "code": None,
    }


def test_refusal_can_be_in_other_words(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    Status and error can be others; to refuse again replaces them.
    """
    error = {"message": "No.", "type": "nope", "param": None, "code": "no"}
    provider.refuse("background", status=501, error=error)
    assert talk.refused(background=True) == (501, error)

    provider.refuse("background", error=None)
    assert talk.refused(background=True)[0] == 400


def test_store_is_refused_where_nothing_is_said(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A request that does not say whether to store it is stored, and refused.
    """
    provider.refuse("store")

    assert talk.refused()[1]["param"] == "store"
    assert talk.pictures(talk.make(store=False))


def test_streams_are_refused_everywhere(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    Streams of the Images API and streams that are taken up again are refused, too.
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


def test_files_are_refused_wherever_they_are_shown(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    Pictures and masks by the id of a file are refused, by both APIs; those sent along are not, nor
    are files of other kinds.
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
    A request that uses two refused features is refused for one, and then for the other.
    """
    provider.refuse("background")
    provider.refuse("store")
    first = talk.refused(background=True)[1]
    provider.accept("background")

    assert {first["param"], talk.refused(background=True)[1]["param"]} == {"tools", "store"}


def test_body_that_is_none_uses_nothing(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    What is no request is refused as that.
    """
    provider.refuse("background")
    bodies: list[object] = [[], "x"]
    for body in bodies:
        with pytest.raises(openai.BadRequestError, match="expected an object"):
            talk.client.post("/responses", body=body, cast_to=openai.BaseModel)


def test_unknown_features_are_named(provider: FakeOpenAI) -> None:
    """
    A feature that does not exist is a mistake of the caller's.
    """
    for verb in (provider.refuse, provider.accept):
        with pytest.raises(ValueError, match="no feature 'streams'; there are background, stream"):
            verb("streams")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

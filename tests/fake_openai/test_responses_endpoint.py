"""
Plain responses to requests with the image tool.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.types.responses.response_output_item import ImageGenerationCall

from imagesession.testing import FakeOpenAI, tiny_image

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk


def test_response_has_an_image(talk: "Talk") -> None:
    """
    A request with the image tool is answered with an image of the reported size and format.
    """
    response = talk.make("a red kite", tool={"size": "1536x864", "output_format": "webp"})

    (item,) = talk.pictures(response)
    picture = talk.picture(response)
    assert picture.size == (1536, 864)
    assert picture.format == "WEBP"
    assert (item["size"], item["output_format"]) == ("1536x864", "webp")
    assert "completed" == response["status"] == item["status"]
    assert item["action"] == "generate"
    assert item["revised_prompt"]


def test_typed_client_parses_the_response(talk: "Talk") -> None:
    """
    The openai client's types parse every field of a response.
    """
    response = talk.client.responses.create(
        model="gpt-5.6-terra",
        input="a red kite",
        tools=[{"type": "image_generation"}],
        metadata={"user": "7"},
    )

    image = next(item for item in response.output if isinstance(item, ImageGenerationCall))
    assert image.result
    assert response.metadata == {"user": "7"}
    assert response.tool_usage is not None
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


@pytest.mark.parametrize(
    "model,effort,first",
    [
        ("gpt-5.4", None, "image_generation_call"),
        ("gpt-4.1", None, "image_generation_call"),
        ("gpt-5", None, "reasoning"),
        ("gpt-6-luna", None, "reasoning"),
        ("gpt-6-luna", "none", "image_generation_call"),
        ("gpt-5.4", "high", "reasoning"),
    ],
)
def test_reasoning_comes_first(talk: "Talk", model: str, effort: str | None, first: str) -> None:
    """
    Reasoning models put a reasoning item first, which shifts the image's index.
    """
    more = {"reasoning": {"effort": effort}} if effort else {}
    response = talk.make(model=model, **more)

    assert first == response["output"][0]["type"]
    assert response["output"][-1]["type"] == "message"


def test_tool_is_echoed_with_defaults(talk: "Talk") -> None:
    """
    The tool is echoed with defaults filled in, without the parameters that real responses omit.
    """
    tool = {"partial_images": 0, "action": "auto", "quality": "low", "input_fidelity": None}
    response = talk.make(tool=tool)

    assert response["tools"] == [
        {
            "type": "image_generation",
            "background": "auto",
            "moderation": "auto",
            "n": 1,
            "output_compression": 100,
            "output_format": "png",
            "quality": "low",
            "size": "auto",
        }
    ]


def test_same_request_gives_same_bytes(talk: "Talk") -> None:
    """
    The same prompt gives the same image, in the same provider and in another.
    """
    assert talk.pixels(talk.make("tea")) == talk.pixels(talk.make("tea"))
    assert talk.pixels(talk.make("tea")) != talk.pixels(talk.make("coffee"))


def test_response_can_have_several_images(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A response can have several different images, and bills them all.
    """
    entry = talk.make("tea")
    provider.images_per_reply = 3
    three = talk.make("tea")

    pictures = {item["result"] for item in talk.pictures(three)}
    assert len(pictures) == 3
    assert talk.pictures(entry)[0]["result"] in pictures
    billed = [reply["tool_usage"]["image_gen"]["output_tokens"] for reply in (entry, three)]
    assert 3 * billed[0] == billed[1]


@pytest.mark.parametrize(
    "model,size,quality,tokens",
    [
        ("gpt-image-2", "1024x1024", "low", 196),
        ("gpt-image-2", "1280x720", "low", 106),
        ("gpt-image-1-mini", "1024x1536", "high", 6240),
        ("gpt-image-1.5", "1536x1024", "medium", 1568),
    ],
)
def test_bills_documented_tokens(
    talk: "Talk", model: str, size: str, quality: str, tokens: int
) -> None:
    """
    Images cost the tokens that were measured or documented.
    """
    tool = {"model": model, "size": size, "quality": quality}
    usage = talk.make(tool=tool)["tool_usage"]["image_gen"]

    assert tokens == usage["output_tokens"]
    assert tokens == usage["output_tokens_details"]["image_tokens"]


def test_request_without_the_image_tool_gets_text(talk: "Talk") -> None:
    """
    If there is no image tool, or its use is forbidden, the provider answers with text.
    """
    for response in (talk.make(tools=[]), talk.make(tool_choice="none")):
        assert not talk.pictures(response)
        assert "only draws" in response["output"][-1]["content"][0]["text"]


def test_other_tools_are_ignored(talk: "Talk") -> None:
    """
    Other tools are echoed unchanged and not used.
    """
    function: dict[str, object] = {
        "type": "function",
        "name": "f",
        "parameters": {},
        "strict": False,
    }
    response = talk.make(tools=[function, {"type": "image_generation"}])

    assert talk.pictures(response)
    assert function == response["tools"][0]


def test_response_headers(talk: "Talk") -> None:
    """
    Responses have a request id, a processing time, the version and rate limits.
    """
    raw = talk.client.responses.with_raw_response.create(model="gpt-5.4", input="x")

    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.headers["openai-organization"] == "offline"
    assert raw.headers["x-ratelimit-remaining-requests"].isdigit()
    assert raw.headers["openai-processing-ms"].isdigit()


def test_retrieve_and_delete(talk: "Talk") -> None:
    """
    A stored response is retrieved unchanged except for the image's bytes, and is gone once deleted.
    """
    made = talk.make()
    looked = talk.get(f"/responses/{made['id']}")
    assert talk.pixels(made)
    talk.pictures(made)[0]["result"] = None
    assert made == looked

    talk.client.responses.delete(made["id"])
    with pytest.raises(openai.NotFoundError):
        talk.get(f"/responses/{made['id']}")
    with pytest.raises(openai.NotFoundError):
        talk.client.responses.delete(made["id"])


def test_unstored_response_is_not_found(talk: "Talk") -> None:
    """
    A response created with `store: false` can be neither retrieved nor continued.
    """
    made = talk.make(store=False)

    with pytest.raises(openai.NotFoundError):
        talk.get(f"/responses/{made['id']}")
    status, error = talk.refused(previous_response_id=made["id"])
    assert (status, error["code"]) == (400, "previous_response_not_found")


def test_input_items_are_listed(talk: "Talk") -> None:
    """
    The input items are listed without the images' bytes.
    """
    made = talk.make([{"role": "user", "content": "a kite"}])

    (item,) = talk.client.responses.input_items.list(made["id"])
    content = item.to_dict()["content"]
    assert content == [{"type": "input_text", "text": "a kite"}]


def test_oldest_responses_are_dropped(talk: "Talk", monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The number of stored responses is limited: the oldest are dropped, with their items.
    """
    monkeypatch.setattr("imagesession._fake_openai.memory.KEPT_RESPONSES", 2)
    first, *others = [talk.make() for _ in range(3)]

    assert not _is_kept(talk, first)
    assert all(_is_kept(talk, other) for other in others)
    reference = {"type": "item_reference", "id": talk.pictures(first)[0]["id"]}
    assert talk.refused([reference, {"role": "user", "content": "bluer"}])[0] == 404


def test_memory_is_limited_by_image_bytes(talk: "Talk", monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The bytes of input images are limited, so their responses are dropped sooner. A response that
    continues from such an image does not count it again.
    """
    sent = tiny_image(size=(1024, 1024))
    monkeypatch.setattr("imagesession._fake_openai.memory._KEPT_BYTES", 2 * len(sent))
    first = talk.make([talk.message("a sun", sent)])
    chain = [talk.make("bluer", previous_response_id=first["id"]) for _ in range(5)]
    assert all(_is_kept(talk, item) for item in (first, *chain))
    others = [talk.make([talk.message("a sun", sent)]) for _ in range(2)]

    assert not _is_kept(talk, first)
    assert all(_is_kept(talk, other) for other in others)
    talk.client.responses.delete(others[0]["id"])
    assert _is_kept(talk, talk.make([talk.message("a sun", sent)]))
    assert _is_kept(talk, others[1])


@pytest.mark.parametrize("streamed", [False, True])
def test_undelivered_responses_are_kept(
    provider: FakeOpenAI, talk: "Talk", monkeypatch: pytest.MonkeyPatch, *, streamed: bool
) -> None:
    """
    A response is kept until it was delivered, however many follow it.
    """
    monkeypatch.setattr("imagesession._fake_openai.memory.KEPT_RESPONSES", 2)
    waited_for: list[str] = []
    for number in range(5):
        if streamed:
            provider.truncate_stream_after("response.created")
            (event,) = talk.events(f"picture {number}", background=True)
            waited_for.append(event["response"]["id"])
        else:
            waited_for.append(talk.make(f"picture {number}", background=True)["id"])
    talk.make(tools=[])

    for response_id in waited_for:
        assert talk.get(f"/responses/{response_id}")["status"] == "completed"
    talk.make(tools=[])
    assert not any(_is_kept(talk, {"id": response_id}) for response_id in waited_for)


def test_three_hundred_background_responses(talk: "Talk") -> None:
    """
    Each of 300 concurrent background responses is found later.
    """

    def make(_: int) -> str:
        response_id: str = talk.make(background=True)["id"]
        return response_id

    with ThreadPoolExecutor(30) as pool:
        made = list(pool.map(make, range(300)))
        found = list(pool.map(talk.get, [f"/responses/{text}" for text in made]))

    assert [item["id"] for item in found] == made


def test_six_hundred_responses_are_kept(talk: "Talk") -> None:
    """
    The first of 600 delivered responses can still be retrieved.
    """
    first, *_ = [talk.make(tools=[]) for _ in range(600)]

    assert _is_kept(talk, first)


def _is_kept(talk: "Talk", response: dict[str, Any]) -> bool:
    try:
        talk.get(f"/responses/{response['id']}")
    except openai.NotFoundError:
        return False
    return True


@pytest.mark.parametrize("way", ["previous", "conversation"])
def test_context_has_a_limit(provider: FakeOpenAI, talk: "Talk", way: str) -> None:
    """
    A request that exceeds the context window with its earlier turns is rejected, unless it allows
    truncation; a new conversation is accepted.
    """
    thread = talk.client.conversations.create().id
    first: dict[str, Any] = {"conversation": thread} if way == "conversation" else {}
    made = talk.make("a kite", **first)
    provider.context_tokens = made["usage"]["total_tokens"] + 100
    on = first or {"previous_response_id": made["id"]}
    status, error = talk.refused("bluer", **on)

    assert (status, error) == (
        400,
        {
            "message": "Your input exceeds the context window of this model. Please adjust your "
            "input and try again.",
            "type": "invalid_request_error",
            "param": "input",
            "code": "context_length_exceeded",
        },
    )
    truncated = talk.make("bluer", truncation="auto", **on)
    assert truncated["usage"]["input_tokens"] == provider.context_tokens
    assert talk.pixels(talk.make("a kite")) == talk.pixels(made)
    provider.context_tokens = None
    assert talk.make("bluer", **on)["status"] == "completed"

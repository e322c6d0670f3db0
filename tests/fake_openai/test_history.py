"""
Which image a request continues, and how it is edited.
"""

import base64
from typing import TYPE_CHECKING

import pytest

from imagesession.testing import FakeOpenAI, tiny_image, tiny_mask

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk


def test_previous_response_is_refined(talk: "Talk") -> None:
    """
    A request that names the previous response edits its image.
    """
    first = talk.make("a red kite", tool={"size": "1536x864"})
    second = talk.make("bluer", previous_response_id=first["id"])

    (item,) = talk.pictures(second)
    assert (item["action"], item["size"]) == ("edit", "1536x864")
    assert first["id"] == second["previous_response_id"]
    assert talk.pixels(first) != talk.pixels(second)
    assert talk.pixels(talk.make("bluer")) != talk.pixels(second)


def test_same_conversation_gives_same_bytes(talk: "Talk") -> None:
    """
    Conversations with the same turns end in the same image.
    """
    ends: list[bytes] = []
    for _ in range(2):
        first = talk.make("a red kite")
        ends.append(talk.pixels(talk.make("bluer", previous_response_id=first["id"])))

    assert ends[0] == ends[1]


def test_every_turn_is_billed_again(talk: "Talk") -> None:
    """
    A turn bills all earlier turns as input again.
    """
    first = talk.make("a red kite")
    second = talk.make("bluer", previous_response_id=first["id"])

    assert second["usage"]["input_tokens"] > first["usage"]["total_tokens"]
    assert second["tool_usage"]["image_gen"]["input_tokens_details"]["image_tokens"] > 0


def test_item_id_refers_to_its_image(talk: "Talk") -> None:
    """
    An image can be given by the id of its item alone.
    """
    first = talk.make("a red kite")
    by_response = talk.make("bluer", previous_response_id=first["id"])
    reference = {"type": "image_generation_call", "id": talk.pictures(first)[0]["id"]}

    for item in (reference, {**reference, "type": "item_reference"}):
        by_item = talk.make([item, {"role": "user", "content": "bluer"}])
        assert talk.pixels(by_response) == talk.pixels(by_item)
    after = talk.make([{"role": "user", "content": "bluer"}, reference])
    assert talk.pixels(by_response) == talk.pixels(after)


def test_unknown_item_with_its_bytes_is_accepted(talk: "Talk") -> None:
    """
    An unknown image item is accepted if it includes the image's bytes.
    """
    made = talk.make(store=False, tool={"size": "1024x1536"})
    item = talk.pictures(made)[0]
    edited = talk.make([item, {"role": "user", "content": "bluer"}])

    assert (
        talk.pictures(edited)[0]["action"],
        talk.pictures(edited)[0]["size"],
    ) == ("edit", "1024x1536")


def test_input_image_is_edited(talk: "Talk") -> None:
    """
    The first image of the last message is the one that is edited.
    """
    sent = tiny_image(size=(1024, 1024))
    edited = talk.make([talk.message("add a sun", sent)])
    other = talk.make([talk.message("add a sun", sent, tiny_image(colour=(0, 0, 0)))])

    assert talk.pictures(edited)[0]["action"] == "edit"
    assert talk.pixels(edited) != talk.pixels(talk.make("add a sun"))
    assert (
        talk.pictures(other)[0]["action"],
        other["tool_usage"]["image_gen"]["input_tokens_details"]["image_tokens"]
        > edited["tool_usage"]["image_gen"]["input_tokens_details"]["image_tokens"],
    ) == ("edit", True)


@pytest.mark.parametrize(
    "sent,drawn",
    [
        ((64, 64), "1024x1024"),
        ((300, 200), "1536x1024"),
        ((200, 300), "1024x1536"),
        ((1280, 720), "1280x720"),
    ],
)
def test_sizes_that_no_model_draws_are_replaced(
    talk: "Talk", sent: tuple[int, int], drawn: str
) -> None:
    """
    An edit keeps the image's size if the model can draw it, else it takes a standard one.
    """
    edited = talk.make([talk.message("add a sun", tiny_image(size=sent))])

    assert talk.pictures(edited)[0]["size"] == drawn
    assert talk.picture(edited).size == tuple(int(edge) for edge in drawn.split("x"))


def test_mask_for_an_svg(talk: "Talk") -> None:
    """
    A sketch sent as SVG can be edited with a mask, too.
    """
    tool = {"output_format": "svg", "size": "1024x1024"}
    svg = talk.pixels(talk.make(tool=tool))
    mask = {"input_image_mask": {"image_url": talk.url(tiny_mask((1024, 1024)))}}
    content = [
        {"type": "input_text", "text": "a hole"},
        {"type": "input_image", "image_url": talk.url(svg, "svg+xml")},
    ]
    masked = talk.make([{"role": "user", "content": content}], tool=mask)

    assert talk.picture(masked).size == (1024, 1024)


def test_image_of_an_earlier_message_is_edited(talk: "Talk") -> None:
    """
    An image in an earlier message is the context of the last message.
    """
    sent = tiny_image(size=(1024, 1024))
    edited = talk.make([talk.message("", sent), {"role": "user", "content": "add a sun"}])

    assert talk.pictures(edited)[0]["action"] == "edit"
    assert talk.pixels(edited) == talk.pixels(talk.make([talk.message("add a sun", sent)]))


def test_earlier_image_is_edited_by_every_text(talk: "Talk") -> None:
    """
    Texts that follow an input image edit it one after the other.
    """
    sent = tiny_image(size=(1024, 1024))
    first = talk.make([talk.message("add a sun", sent)])
    chained = talk.make("bluer", previous_response_id=first["id"])
    rebuilt = talk.make([talk.message("add a sun", sent), {"role": "user", "content": "bluer"}])
    again = talk.make(
        [
            talk.message("", sent),
            {"role": "user", "content": "add a sun"},
            {"role": "user", "content": "bluer"},
        ]
    )

    assert talk.pixels(chained) == talk.pixels(rebuilt) == talk.pixels(again)


def test_full_history_gives_the_same_image(talk: "Talk") -> None:
    """
    User texts in one request give the same image as turn after turn.
    """
    first = talk.make("a red kite")
    chained = talk.make("bluer", previous_response_id=first["id"])
    rebuilt = talk.make(
        [
            {"role": "developer", "content": "Draw well."},
            {"role": "user", "content": "a red kite"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "Here it is."}]},
            {"role": "user", "content": "bluer"},
        ]
    )

    assert talk.pixels(chained) == talk.pixels(rebuilt)


def test_uploaded_file_is_edited(talk: "Talk") -> None:
    """
    The image to edit can be an uploaded file.
    """
    sent = tiny_image(size=(1024, 1024))
    file = talk.client.files.create(file=("in.png", sent), purpose="vision")
    part = {"type": "input_image", "file_id": file.id}
    text = {"type": "input_text", "text": "add a sun"}
    edited = talk.make([{"role": "user", "content": [text, part]}])

    assert talk.pixels(edited) == talk.pixels(talk.make([talk.message("add a sun", sent)]))


def test_mask_must_match_the_image(talk: "Talk") -> None:
    """
    A masked edit keeps the image's size, and needs a mask with alpha of the same size.
    """
    sent, mask = tiny_image(size=(1024, 1024)), tiny_mask((1024, 1024))
    edit = [talk.message("a hole", sent)]
    url = {"image_url": talk.url(mask)}
    masked = talk.make(edit, tool={"input_image_mask": url})
    file = talk.client.files.create(file=("mask.png", mask), purpose="vision")
    by_file = talk.make(edit, tool={"input_image_mask": {"file_id": file.id}})

    assert talk.picture(masked).size == (1024, 1024)
    assert talk.pixels(masked) != talk.pixels(talk.make(edit))
    assert talk.pixels(masked) == talk.pixels(by_file)
    for wrong, reason in (
        (tiny_image(size=(1024, 1024)), "missing alpha channel"),
        (tiny_mask((512, 512)), "does not match"),
    ):
        tool = {"input_image_mask": {"image_url": talk.url(wrong)}}
        status, error = talk.refused(edit, tool=tool)
        assert status == 400
        assert reason in error["message"]


def test_mask_applies_to_the_previous_image(talk: "Talk") -> None:
    """
    A mask applies to the image of the previous response; without an image it is rejected.
    """
    mask = {"input_image_mask": {"image_url": talk.url(tiny_mask((1024, 1024)))}}
    first = talk.make(tool={"size": "1024x1024"})
    masked = talk.make("a hole", tool=mask, previous_response_id=first["id"])

    assert talk.pictures(masked)[0]["action"] == "edit"
    assert _param_of(talk.refused("a hole", tool=mask)) == (400, "tools[0].input_image_mask")


def test_action_is_obeyed(talk: "Talk") -> None:
    """
    `generate` starts anew although there is an image, `edit` requires one.
    """
    first = talk.make("a red kite")
    anew = talk.make("tea", tool={"action": "generate"}, previous_response_id=first["id"])

    assert talk.pictures(anew)[0]["action"] == "generate"
    assert talk.pixels(anew) == talk.pixels(talk.make("tea"))
    assert _param_of(talk.refused("tea", tool={"action": "edit"})) == (400, "tools[0].action")


def test_transparent_is_reported(talk: "Talk") -> None:
    """
    A transparent image is reported as such and has an alpha channel.
    """
    response = talk.make("a logo", tool={"background": "transparent"})

    assert talk.pictures(response)[0]["background"] == "transparent"
    assert "A" in talk.picture(response).getbands()


@pytest.mark.parametrize("format", ["png", "webp", "jpeg", "gif"])
def test_formats(talk: "Talk", format: str) -> None:
    """
    Every raster format is returned as requested.
    """
    response = talk.make(tool={"output_format": format})

    assert format.upper() == talk.picture(response).format
    assert format == talk.pictures(response)[0]["output_format"]


def test_animation_fits_the_budget(talk: "Talk") -> None:
    """
    An animation without a size gets frames as large as the pixel budget of a response allows.
    """
    response = talk.make(tool={"output_format": "gif", "frame_count": 16})

    width, height = talk.picture(response).size
    assert 0 < width * height * 16 <= 8_294_400


def test_svg_usage_is_reported(talk: "Talk") -> None:
    """
    An SVG reports the usage of the model that authored it.
    """
    tool = {"output_format": "svg", "svg": {"model": "gpt-6-sol"}}
    (item,) = talk.pictures(talk.make(tool=tool))

    assert (item["output_format"], item["svg_usage"]["model"]) == ("svg", "gpt-6-sol")


def test_unreadable_image_is_rejected(talk: "Talk") -> None:
    """
    Bytes that are no image are rejected as `invalid_image_file`, with their path in the request.
    """
    picture = tiny_image()
    for images in ((b"no picture",), (picture, b"no picture")):
        status, error = talk.refused([talk.message("bluer", *images)])
        assert (status, error["code"]) == (400, "invalid_image_file")
        assert f"input[0].content[{len(images)}]" in error["param"]


@pytest.mark.parametrize(
    "url,where",
    [
        ("https://example.com/a.png", "url"),
        ("data:text/plain;base64,AAAA", "input[0].content[0].image_url"),
        ("data:image/png;base64,???", "input[0].content[0].image_url"),
        ("nonsense", "input[0].content[0].image_url"),
    ],
)
def test_bad_image_urls_are_rejected(talk: "Talk", url: str, where: str) -> None:
    """
    An image URL must be a data URL: nothing is downloaded.
    """
    content = [{"type": "input_image", "image_url": url}]

    assert (400, where) == _param_of(talk.refused([{"role": "user", "content": content}]))


def test_unknown_file_is_rejected(talk: "Talk") -> None:
    """
    An image given by the id of an unknown file is rejected.
    """
    content = [{"type": "input_image", "file_id": "file-none"}]
    status, error = talk.refused([{"role": "user", "content": content}])

    assert (status, error["param"]) == (404, "input[0].content[0].file_id")


def test_input_items_have_no_bytes(talk: "Talk", provider: FakeOpenAI) -> None:
    """
    The listed input items have no image bytes; the recorded request has them.
    """
    sent = tiny_image(size=(1024, 1024))
    made = talk.make([talk.message("add a sun", sent)])
    listed = talk.get(f"/responses/{made['id']}/input_items")["data"]

    assert [part["type"] for part in listed[0]["content"]] == ["input_text", "input_image"]
    assert listed[0]["content"][1]["image_url"] is None
    received = provider.requests[0].body["input"][0]["content"][1]["image_url"]
    assert base64.b64encode(sent).decode() in received


def test_message_id_is_no_image(talk: "Talk") -> None:
    """
    A message's id refers to no image, whatever type is sent with it.
    """
    message = talk.make()["output"][-1]
    item = {"type": "image_generation_call", "id": message["id"]}

    assert talk.refused([item, {"role": "user", "content": "bluer"}])[0] == 404


def _param_of(refusal: tuple[int, dict[str, object]]) -> tuple[int, object]:
    status, error = refusal
    return status, error["param"]

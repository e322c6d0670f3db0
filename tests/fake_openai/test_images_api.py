"""
The Images API: generations and edits through the real client, plain, streamed, and rejected.
"""

import base64
import io
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageStat

from imagesession._fake_openai.sketch.edit import mask_around
from imagesession._imaging.pillow import resize
from imagesession.testing import AsyncFakeTransport, FakeOpenAI, FakeTransport, tiny_image

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk

Json = dict[str, Any]
SIDE = 256


def png(image: Image.Image) -> bytes:
    """
    Encode an image.
    """
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def photo() -> bytes:
    """
    An image that was not drawn here.
    """
    image = resize(Image.linear_gradient("L").convert("RGB"), (SIDE, SIDE))
    image.paste((180, 90, 40), (60, 60, 120, 140))
    return png(image)


@pytest.fixture
def mask() -> bytes:
    """
    A mask that opens the left half.
    """
    image = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, SIDE // 2, SIDE))
    return png(image)


@pytest.fixture
def markup() -> bytes:
    """
    A markup with one circle.
    """
    image = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((150, 150, 200, 200), outline=(255, 0, 0, 255), width=3)
    return png(image)


def opened(text: str | None) -> Image.Image:
    """
    Decode an image of a response.
    """
    return Image.open(io.BytesIO(base64.b64decode(text or "")))


def first(response: openai.types.ImagesResponse) -> Image.Image:
    """
    Open the first image of a response.
    """
    return opened((response.data or [])[0].b64_json)


def rejected(talk: "Talk", path: str = "/images/generations", **body: object) -> tuple[int, Json]:
    """
    Send JSON that is rejected; return the status and the error object.
    """
    whole = {"model": "gpt-image-2", "prompt": "a kite", **body}
    with pytest.raises(openai.APIStatusError) as caught:
        talk.post({key: value for key, value in whole.items() if value is not None}, path)
    error: Json = caught.value.response.json()["error"]
    return caught.value.status_code, error


def rejected_form(talk: "Talk", files: list[tuple[str, bytes]], **fields: str) -> tuple[int, Json]:
    """
    Send a form that is rejected; return the status and the error object.
    """
    with pytest.raises(openai.APIStatusError) as caught:
        talk.client.post(
            "/images/edits",
            cast_to=httpx2.Response,
            files=[(name, ("a.png", content, "image/png")) for name, content in files],
            body={"model": "gpt-image-2.5-flare", "prompt": "bluer", **fields},
            options={"headers": {"Content-Type": "multipart/form-data"}},
        )
    error: Json = caught.value.response.json()["error"]
    return caught.value.status_code, error


def test_generate(talk: "Talk") -> None:
    """
    A generation returns as many different images as requested, their parameters, and the usage.
    """
    response = talk.client.images.generate(
        model="gpt-image-2", prompt="a red kite", n=3, size="1024x1024", quality="low"
    )
    pictures = response.data or []
    assert len({picture.b64_json for picture in pictures}) == 3
    assert {opened(picture.b64_json).size for picture in pictures} == {(1024, 1024)}
    assert (response.size, response.quality) == ("1024x1024", "low")
    assert (response.background, response.output_format) == ("opaque", "png")
    assert response.usage
    assert response.usage.input_tokens_details.image_tokens == 0
    assert response.usage.output_tokens == 3 * 196
    assert response.svg_usage is None


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif", "svg"])
def test_formats(talk: "Talk", kind: str) -> None:
    """
    Every format is returned as requested; an SVG's author is billed separately.
    """
    body = {"model": "gpt-image-2.6-flare", "prompt": "a kite", "output_format": kind}
    response = talk.post(body, "/images/generations")
    data = base64.b64decode(response["data"][0]["b64_json"])

    assert response["output_format"] == kind
    if kind == "svg":
        assert data.startswith(b"<svg")
        assert response["svg_usage"]["model"] == "gpt-6-luna"
    else:
        assert (Image.open(io.BytesIO(data)).format or "").lower() == kind
        assert "svg_usage" not in response


def test_svg_author_is_named(talk: "Talk") -> None:
    """
    The model that a request names as the author of an SVG is billed.
    """
    response = talk.client.images.generate(
        model="gpt-image-2.6-flare",
        prompt="a kite",
        output_format="svg",
        svg={"model": "gpt-6-sol", "reasoning": {"effort": "low"}},
    )
    assert response.svg_usage
    assert response.svg_usage.model == "gpt-6-sol"


def test_transparency_and_safety_identifier(talk: "Talk") -> None:
    """
    A transparent background is drawn, and the safety identifier is echoed.
    """
    response = talk.client.images.generate(
        model="gpt-image-2", prompt="a bird logo", background="transparent", user="someone"
    )
    assert first(response).mode == "RGBA"
    assert (response.background, response.safety_identifier) == ("transparent", "someone")


def test_same_image_as_over_responses(talk: "Talk") -> None:
    """
    The same prompt gives the same image over either API.
    """
    over_images = talk.client.images.generate(model="gpt-image-2", prompt="tea", size="1024x1024")
    over_responses = talk.make("tea", tool={"size": "1024x1024"})

    assert (over_images.data or [])[0].b64_json == talk.pictures(over_responses)[0]["result"]


def test_nothing_is_stored(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A response has no id, and no conversation refers to it.
    """
    body = {"model": "gpt-image-2", "prompt": "a kite"}
    assert "id" not in talk.post(body, "/images/generations")
    assert [call.path for call in provider.requests] == ["/images/generations"]


def test_edit_changes_the_image(talk: "Talk", photo: bytes) -> None:
    """
    An edit changes the input image, and bills it.
    """
    response = talk.client.images.edit(
        model="gpt-image-2", image=("a.png", photo), prompt="bluer", size="1024x1024"
    )
    before = ImageStat.Stat(Image.open(io.BytesIO(photo))).mean
    after = ImageStat.Stat(first(response)).mean

    assert after[2] - after[0] > before[2] - before[0] + 15
    assert response.usage
    assert response.usage.input_tokens_details.image_tokens > 0


def test_edit_with_references(talk: "Talk", photo: bytes) -> None:
    """
    Further images are shown beside the first, and billed.
    """
    edit = talk.client.images.edit
    images = [("a.png", photo), ("b.png", tiny_image()), ("c.png", tiny_image())]
    alone = edit(model="gpt-image-2", image=images[:1], prompt="bluer")
    together = edit(model="gpt-image-2", image=images, prompt="bluer")

    assert first(alone).tobytes() != first(together).tobytes()
    assert alone.usage
    assert together.usage
    assert together.usage.input_tokens == alone.usage.input_tokens + 2 * 1024


def test_edit_of_a_sketch_keeps_its_subject(talk: "Talk") -> None:
    """
    An image that was drawn here keeps its subject in an edit.
    """
    drawn = talk.client.images.generate(model="gpt-image-2", prompt="a cat", size="1024x1024")
    data = base64.b64decode((drawn.data or [])[0].b64_json or "")
    edited = talk.client.images.edit(model="gpt-image-2", image=("a.png", data), prompt="bluer")
    response = talk.client.images.generate(model="gpt-image-2", prompt="tea", size="1024x1024")

    def apart(other: Image.Image) -> float:
        delta = ImageChops.difference(first(drawn).convert("L"), other.convert("L"))
        return ImageStat.Stat(delta).mean[0]

    assert apart(first(edited)) < apart(first(response)) / 2


def test_edit_as_json(talk: "Talk", photo: bytes) -> None:
    """
    An edit can be sent as JSON, with a data URL or an uploaded file, and gives the same image.
    """
    file = talk.client.files.create(file=("a.png", photo), purpose="vision")
    body = {"model": "gpt-image-2", "prompt": "bluer"}
    pictures = [
        talk.post({**body, "images": [image]}, "/images/edits")["data"][0]["b64_json"]
        for image in ({"image_url": talk.url(photo)}, {"file_id": file.id})
    ]
    over_form = talk.client.images.edit(model="gpt-image-2", image=photo, prompt="bluer")

    assert {(over_form.data or [])[0].b64_json} == set(pictures)


def test_mask_confines_the_edit(talk: "Talk", photo: bytes, mask: bytes) -> None:
    """
    With a mask, only what it opens changes, sent as a form or as JSON.
    """
    body = {"model": "gpt-image-2.6-flare", "prompt": "a red cat", "size": "1024x1024"}
    large = png(resize(Image.open(io.BytesIO(photo)), (1024, 1024)))
    opening = png(resize(Image.open(io.BytesIO(mask)), (1024, 1024)))
    over_form = talk.client.images.edit(
        model="gpt-image-2.6-flare",
        image=("a.png", large),
        mask=("m.png", opening),
        prompt="a red cat",
        size="1024x1024",
    )
    over_json = talk.post(
        {
            **body,
            "images": [{"image_url": talk.url(large)}],
            "mask": {"image_url": talk.url(opening)},
        },
        "/images/edits",
    )
    before, after = Image.open(io.BytesIO(large)), first(over_form)
    changed = ImageChops.difference(before, after.convert("RGB")).getbbox()

    assert over_json["data"][0]["b64_json"] == (over_form.data or [])[0].b64_json
    assert changed
    assert changed[2] <= 512


def test_markup_confines_the_edit(talk: "Talk", photo: bytes, markup: bytes) -> None:
    """
    With a markup, the area within its strokes changes, the rest stays, and no stroke is left.
    """
    large = resize(Image.open(io.BytesIO(photo)), (1024, 1024), Image.Resampling.NEAREST)
    over = resize(Image.open(io.BytesIO(markup)), (1024, 1024), Image.Resampling.NEAREST)
    response = talk.client.images.edit(
        model="gpt-image-2.5-sunburst",
        image=("a.png", png(large)),
        markup=("m.png", png(over)),
        prompt="a blue balloon",
        size="1024x1024",
    )
    after = first(response).convert("RGB")
    changed = ImageChops.difference(large, after).getbbox()

    assert changed
    left, top, right, bottom = changed
    assert 500 < left < 700
    assert 500 < top < 700
    assert 700 < right < 900
    assert 700 < bottom < 900
    assert (255, 0, 0) not in set(after.get_flattened_data())


def test_every_marked_area_is_changed(talk: "Talk", photo: bytes) -> None:
    """
    Separate strokes mark separate areas, and what lies between them stays.
    """
    large = resize(Image.open(io.BytesIO(photo)), (1024, 1024), Image.Resampling.NEAREST)
    over = Image.new("RGBA", large.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(over)
    draw.rectangle((60, 60, 260, 260), outline=(0, 255, 0, 255), width=4)
    draw.line((700, 700, 960, 960), fill=(0, 255, 0, 255), width=4)
    content = {"image_url": talk.url(png(over))}
    images = [{"image_url": talk.url(png(large))}]
    body = {"model": "gpt-image-2.6-sunburst", "prompt": "a cat", "size": "1024x1024"}
    response = talk.post({**body, "images": images, "markup": content}, "/images/edits")
    delta = ImageChops.difference(large, opened(response["data"][0]["b64_json"]).convert("RGB"))

    assert delta.crop((60, 60, 260, 260)).getbbox()
    assert delta.crop((720, 720, 940, 940)).getbbox()
    assert not delta.crop((320, 0, 640, 1024)).getbbox()


@given(
    st.lists(
        st.tuples(*[st.integers(0, 99)] * 4).map(
            lambda box: (min(box[::2]), min(box[1::2]), max(box[::2]) + 1, max(box[1::2]) + 1)
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=60, deadline=None)
def test_mask_opens_all_strokes(boxes: list[tuple[int, int, int, int]]) -> None:
    """
    The mask opens every stroke, whatever is drawn.
    """
    over = Image.new("RGBA", (110, 105), (0, 0, 0, 0))
    for box in boxes:
        over.paste((0, 0, 255, 255), box)
    mask = mask_around(png(over))
    assert mask is not None
    hole = ImageChops.invert(Image.open(io.BytesIO(mask)).getchannel("A"))
    assert not ImageChops.subtract(over.getchannel("A"), hole).getbbox()


def test_image_without_alpha_marks_nothing() -> None:
    """
    An image without alpha marks nothing.
    """
    assert mask_around(OPAQUE) is None


def test_stream_of_a_generation(talk: "Talk") -> None:
    """
    A stream sends numbered partial images, and then the image with its usage.
    """
    events = list(
        talk.client.images.generate(
            model="gpt-image-2",
            prompt="a kite",
            size="1024x1024",
            quality="low",
            partial_images=2,
            stream=True,
        )
    )
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    numbers = [getattr(event, "partial_image_index", None) for event in events]
    assert numbers == [0, 1, None]
    assert len({event.b64_json for event in events}) == 3
    assert {opened(event.b64_json).size for event in events} == {(1024, 1024)}
    last = events[-1]
    assert last.type == "image_generation.completed"
    assert last.usage.output_tokens == 196 + 200
    plain = talk.client.images.generate(model="gpt-image-2", prompt="a kite", size="1024x1024")
    assert last.b64_json == (plain.data or [])[0].b64_json


def test_stream_of_an_edit(talk: "Talk", photo: bytes) -> None:
    """
    A streamed edit sends one completed event for each image, and partial images only on request.
    """
    events = list(
        talk.client.images.edit(model="gpt-image-2", image=photo, prompt="bluer", n=2, stream=True)
    )
    assert [event.type for event in events] == ["image_edit.completed"] * 2


def test_stream_takes_the_latency(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    Streams and plain responses take the latency.
    """
    talk = connect(FakeOpenAI(latency=0.08))
    body = {"model": "gpt-image-2", "prompt": "a kite"}
    for more in ({}, {"stream": True, "partial_images": 1}):
        begun = time.perf_counter()
        talk.client.post("/images/generations", body={**body, **more}, cast_to=httpx2.Response)
        assert time.perf_counter() - begun >= 0.08


@pytest.mark.anyio
async def test_async_client(photo: bytes) -> None:
    """
    The async client generates, edits and streams as well.
    """
    transport = AsyncFakeTransport(FakeOpenAI())
    async with httpx2.AsyncClient(transport=transport) as http:
        images = openai.AsyncOpenAI(api_key="offline", http_client=http, max_retries=0).images
        made = await images.generate(model="gpt-image-2", prompt="a kite")
        edited = await images.edit(model="gpt-image-2", image=photo, prompt="bluer")
        stream = await images.generate(model="gpt-image-2", prompt="a kite", stream=True)
        kinds = [event.type async for event in stream]

    assert made.data
    assert edited.data
    assert kinds == ["image_generation.completed"]


def test_form_over_a_port(loopback: "Talk", photo: bytes) -> None:
    """
    A form can be sent over a real connection too.
    """
    response = loopback.client.images.edit(model="gpt-image-2", image=photo, prompt="bluer")
    assert response.data


SMALL_MASK = png(Image.new("RGBA", (8, 8)))
OPAQUE = png(Image.new("RGB", (SIDE, SIDE)))


@pytest.mark.parametrize(
    "body,param,code,kind",
    [
        ({"model": None}, "model", "missing_required_parameter", "invalid_request_error"),
        ({"model": "dall-e-3"}, "model", "invalid_value", "image_generation_user_error"),
        ({"model": "gpt-5"}, "model", "invalid_value", "image_generation_user_error"),
        ({"prompt": None}, "prompt", "missing_required_parameter", None),
        ({"prompt": ""}, "prompt", "empty_string", None),
        ({"prompt": "x" * 32_001}, "prompt", "string_above_max_length", None),
        ({"n": 0}, "n", "integer_below_min_value", None),
        ({"n": 11}, "n", "integer_above_max_value", None),
        ({"n": "2"}, "n", "invalid_type", None),
        ({"size": "512x512"}, "size", "invalid_value", "image_generation_user_error"),
        ({"size": "3x3", "model": "gpt-image-1.5"}, "size", "invalid_value", None),
        ({"quality": "max"}, "quality", "invalid_value", "invalid_request_error"),
        ({"quality": "hd"}, "quality", "invalid_value", "invalid_request_error"),
        ({"background": "clear"}, "background", "invalid_value", "invalid_request_error"),
        ({"background": "transparent", "output_format": "jpeg"}, "background", None, None),
        ({"output_format": "bmp"}, "output_format", "invalid_value", "invalid_request_error"),
        ({"output_format": "gif", "model": "gpt-image-1.5"}, "output_format", None, None),
        ({"output_compression": 50}, "output_compression", "invalid_value", None),
        ({"output_compression": 101, "output_format": "jpeg"}, "output_compression", None, None),
        ({"partial_images": 1}, "partial_images", "invalid_value", None),
        ({"partial_images": 4, "stream": True}, "partial_images", None, None),
        ({"output_format": "gif", "stream": True}, "stream", "invalid_value", None),
        ({"output_format": "svg", "n": 2}, "n", "invalid_value", None),
        ({"frame_count": 3}, "frame_count", "invalid_value", None),
        ({"moderation": "none"}, "moderation", "invalid_value", None),
        ({"response_format": "b64_json"}, "response_format", "unknown_parameter", None),
        ({"response_format": "url", "model": "no"}, "response_format", "unknown_parameter", None),
        ({"style": "vivid"}, "style", "unknown_parameter", None),
        ({"input_fidelity": "high"}, "input_fidelity", "unknown_parameter", None),
        ({"mask": {}}, "mask", "unknown_parameter", None),
        ({"stream": "yes"}, "stream", "invalid_type", None),
    ],
)
def test_generations_are_checked(
    talk: "Talk", body: Json, param: str, code: str | None, kind: str | None
) -> None:
    """
    Each parameter is checked as in the API, and the error names it.
    """
    status, error = rejected(talk, **body)

    assert (status, error["param"]) == (400, param)
    assert code in {None, error["code"]}
    assert kind in {None, error["type"]}


MISFITS: list[tuple[Json, str, str]] = [
    ({"images": None}, "Missing required parameter: 'images'", "images"),
    ({"images": []}, "1 to 16 images, but got 0", "images"),
    ({"images": [{}] * 17}, "1 to 16 images, but got 17", "images"),
    ({"images": [{}]}, "exactly one of", "images[0]"),
    ({"images": [{"image_url": "x", "file_id": "y"}]}, "exactly one of", "images[0]"),
    ({"images": [{"file_id": "file-x"}]}, "No such File object", "images[0].file_id"),
    ({"images": [{"url": "x"}]}, "Unknown parameter", "images[0].url"),
    (
        {"images": [{"image_url": "https://example.com/a.png"}]},
        "Error while downloading",
        "url",
    ),
    (
        {"images": [{"image_url": "data:image/png;base64,aGk="}]},
        "Invalid image file or mode for image 1",
        "images[0].image_url",
    ),
    (
        {"images": [{"image_url": "data:image/png;base64," + "A" * 21_000_000}]},
        "string too long",
        "images[0].image_url",
    ),
    ({"input_fidelity": "high"}, "does not support the 'input_fidelity'", "input_fidelity"),
    (
        {"input_fidelity": "high", "model": "gpt-image-1-mini"},
        "Supported values are: 'low'",
        "input_fidelity",
    ),
    ({"output_format": "gif"}, "Mask is not supported for GIF", "mask"),
]


@pytest.mark.parametrize("change,words,param", MISFITS)
def test_edits_as_json_are_checked(
    talk: "Talk", photo: bytes, change: Json, words: str, param: str
) -> None:
    """
    Invalid edits are rejected, and the error has the path.
    """
    body = {
        "images": [{"image_url": talk.url(photo)}],
        "mask": {"image_url": talk.url(SMALL_MASK)},
        **change,
    }
    _, error = rejected(talk, "/images/edits", **body)

    assert words in error["message"]
    assert param == error["param"]


@pytest.mark.parametrize(
    "overlay,model,words",
    [
        (("mask", OPAQUE), "gpt-image-2", "mask image missing alpha channel"),
        (("mask", SMALL_MASK), "gpt-image-2", "mask size does not match image size"),
        (("mask", b"no"), "gpt-image-2", "Invalid image file"),
        (("markup", OPAQUE), "gpt-image-2.5-flare", "markup image missing alpha channel"),
        (("markup", SMALL_MASK), "gpt-image-2.6-flare", "markup size does not match image size"),
        (
            ("markup", png(Image.new("RGBA", (SIDE, SIDE)))),
            "gpt-image-2.6-flare",
            "must have strokes and transparent pixels",
        ),
        (
            ("markup", png(Image.new("RGBA", (SIDE, SIDE), (255, 0, 0, 255)))),
            "gpt-image-2.6-flare",
            "must have strokes and transparent pixels",
        ),
        (("markup", SMALL_MASK), "gpt-image-2", "does not support the 'markup' parameter"),
    ],
)
def test_overlays_are_checked(
    talk: "Talk", photo: bytes, overlay: tuple[str, bytes], model: str, words: str
) -> None:
    """
    A mask or a markup that does not fit the image or the model is rejected.
    """
    status, error = rejected_form(talk, [("image", photo), overlay], model=model)

    assert (status, error["param"]) == (400, overlay[0])
    assert words in error["message"]


def test_markup_excludes_mask(talk: "Talk", photo: bytes, mask: bytes, markup: bytes) -> None:
    """
    A request cannot have both a markup and a mask.
    """
    files = [("image", photo), ("mask", mask), ("markup", markup)]
    assert "cannot be combined" in rejected_form(talk, files)[1]["message"]


@pytest.mark.parametrize(
    "files,fields,param,code",
    [
        ([("mask", b"x")], {}, "image", "missing_required_parameter"),
        ([("image[]", b"x")] * 17, {}, "image", "invalid_value"),
        ([("image", b"no picture")], {}, "", "invalid_image_file"),
        ([("image", tiny_image()), ("image", b"no")], {}, "", "invalid_image_file"),
        ([("image", tiny_image())], {"n": "many"}, "n", "invalid_type"),
        ([("image", tiny_image())], {"n": "20"}, "n", "integer_above_max_value"),
        ([("image", tiny_image())], {"svg[model]": "x"}, "svg", "invalid_value"),
        ([("image", tiny_image())], {"colour": "x"}, "colour", "unknown_parameter"),
        ([("image", tiny_image())], {"response_format": "url"}, "response_format", None),
    ],
)
def test_forms_are_checked(
    talk: "Talk",
    files: list[tuple[str, bytes]],
    fields: dict[str, str],
    param: str,
    code: str | None,
) -> None:
    """
    A form's fields are read as numbers and flags where they are, and checked like JSON.
    """
    _, error = rejected_form(talk, files, **fields)
    assert param == error["param"]
    assert code in {None, error["code"]}


def test_form_without_images() -> None:
    """
    A form that has no image lacks `image`.
    """
    boundary = "x"
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = part.format("model", "gpt-image-2") + part.format("prompt", "x") + "--x--\r\n"
    transport = FakeTransport(FakeOpenAI())
    with httpx2.Client(transport=transport) as client:
        answer = client.post(
            "http://offline/v1/images/edits",
            content=body,
            headers={
                "content-type": f"multipart/form-data; boundary={boundary}",
                "authorization": "Bearer x",
            },
        )
    assert answer.json()["error"]["message"] == "Missing required parameter: 'image'."


def test_oversized_image_is_rejected(talk: "Talk") -> None:
    """
    A file of 50 MB or more is rejected.
    """
    _, error = rejected_form(talk, [("image", b"\0" * (50 * 1024 * 1024))])
    assert "less than 50 MB" in error["message"]


def test_other_input_formats_are_rejected(talk: "Talk") -> None:
    """
    An edit accepts PNG, JPEG and WebP; a GIF is rejected.
    """
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "GIF")
    assert rejected_form(talk, [("image", out.getvalue())])[1]["code"] == "invalid_image_file"


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_form_is_answered(fields: dict[str, str]) -> None:
    """
    Whatever the fields are called and contain, the response is an image or an error object.
    """
    files: list[tuple[str, Any]] = [
        (name, (None, value)) for name, value in {"model": "gpt-image-2", **fields}.items()
    ]
    files.append(("image", ("a.png", tiny_image(), "image/png")))
    with httpx2.Client(transport=FakeTransport(FakeOpenAI())) as client:
        answer = client.post(
            "http://offline/v1/images/edits", files=files, headers={"authorization": "Bearer x"}
        )
    body = json.loads(answer.text)
    assert answer.status_code == (200 if "data" in body else 400)
    assert "data" in body or body["error"]["message"]


def test_other_paths_are_not_served(talk: "Talk") -> None:
    """
    There are no endpoints beside generations and edits: variations have been shut down.
    """
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        talk.post({}, "/images/variations")


def test_faults(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    Moderation, failures and plain errors are injected as for Responses.
    """
    generate = talk.client.images.generate
    provider.moderate_next(stage="output", categories=("violence",))
    with pytest.raises(openai.BadRequestError, match=r"safety_violations=\[violence\]"):
        generate(model="gpt-image-2", prompt="x")

    provider.moderate_next(as_item=True)
    with pytest.raises(openai.BadRequestError) as caught:
        generate(model="gpt-image-2", prompt="x")
    assert caught.value.code == "moderation_blocked"

    provider.fail_generation_next(message="Image generation failed")
    with pytest.raises(openai.InternalServerError, match="Image generation failed"):
        generate(model="gpt-image-2", prompt="x")

    provider.fail_next(status=429, path="/images/*")
    with pytest.raises(openai.RateLimitError):
        generate(model="gpt-image-2", prompt="x")

    provider.refuse_next("This is for Responses.")
    assert generate(model="gpt-image-2", prompt="x").data


def test_failed_and_truncated_streams(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A stream that fails sends an error event and the end mark; a truncated one just ends.
    """
    generate = talk.client.images.generate
    provider.fail_generation_next(message="Image generation failed")
    with pytest.raises(openai.APIError, match="Image generation failed"):
        list(generate(model="gpt-image-2", prompt="x", stream=True))

    provider.truncate_stream_after(1)
    events = list(generate(model="gpt-image-2", prompt="x", stream=True, partial_images=2))
    assert [event.type for event in events] == ["image_generation.partial_image"]


def test_stream_faults_match_forms(provider: FakeOpenAI, talk: "Talk", photo: bytes) -> None:
    """
    A fault for streams applies to a streamed edit that is sent as a form, and to no plain one.
    """
    edit = talk.client.images.edit
    provider.truncate_stream_after(0)
    assert edit(model="gpt-image-2", image=photo, prompt="bluer").data
    assert not list(edit(model="gpt-image-2", image=photo, prompt="bluer", stream=True))


def test_provider_without_responses(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    A provider may have only the Images API, as most compatible servers do.
    """
    talk = connect(FakeOpenAI(responses=False, files=False))

    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        talk.make("a kite")
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        talk.client.conversations.create()
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        talk.client.files.create(file=b"x", purpose="vision")
    assert talk.client.images.generate(model="gpt-image-2", prompt="a kite").data
    assert talk.client.models.list().data


def test_provider_without_files_alone(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    Files can be left out while Responses stay.
    """
    talk = connect(FakeOpenAI(files=False))

    assert talk.picture(talk.make("a kite"))
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        talk.client.files.list()

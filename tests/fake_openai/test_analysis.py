"""
Findings about an image as structured output: true of its pixels, and in the requested schema.
"""

import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest
from PIL import Image, ImageEnhance, ImageStat

from imagesession._fake_openai.analysis import analysis_json
from imagesession._fake_openai.sketch import render, start
from imagesession.testing import FakeOpenAI, tiny_image

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk

Json = dict[str, Any]

FINDING: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["issue", "where", "severity", "remedy"],
    "properties": {
        "issue": {"type": "string"},
        "where": {"type": "string"},
        "severity": {"type": "string", "enum": ["low", "medium", "high"]},
        "remedy": {"type": "string"},
    },
}
SCHEMA: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["summary", "findings"],
    "properties": {"summary": {"type": "string"}, "findings": {"type": "array", "items": FINDING}},
}
FORM: Json = {"type": "json_schema", "name": "findings", "strict": True, "schema": SCHEMA}
TEXT: Json = {"format": FORM}


@pytest.fixture(scope="module")
def lively() -> Image.Image:
    """
    An image without any findings.
    """
    data = render(start("a cat and a house in a garden", size=(512, 512)))
    return Image.open(io.BytesIO(data)).convert("RGB")


def png(image: Image.Image) -> bytes:
    """
    Encode an image.
    """
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def analyze(talk: "Talk", *images: bytes, **body: object) -> Json:
    """
    Request findings about images.
    """
    prompt = [talk.message("What would you mend?", *images)]
    return talk.post({"model": "gpt-5.4", "input": prompt, "text": TEXT, **body})


def rejected(talk: "Talk", format: object) -> Json:
    """
    Request a schema that is rejected, and return the error object.
    """
    with pytest.raises(openai.BadRequestError) as caught:
        analyze(talk, tiny_image(), text={"format": format})
    error: Json = caught.value.response.json()["error"]
    return error


def read_findings(response: Json) -> Json:
    """
    Read the only message of a response, and check it against the schema.
    """
    (message,) = (item for item in response["output"] if item["type"] == "message")
    body: Json = json.loads(message["content"][0]["text"])
    assert set(body) == {"summary", "findings"}
    assert isinstance(body["summary"], str)
    for finding in body["findings"]:
        assert set(finding) == {"issue", "where", "severity", "remedy"}
        assert all(isinstance(value, str) and value for value in finding.values())
        assert finding["severity"] in {"low", "medium", "high"}
    return body


def test_good_image_has_no_findings(talk: "Talk", lively: Image.Image) -> None:
    """
    A sharp, well-lit image has no findings, and the summary says who measured it.
    """
    body = read_findings(analyze(talk, png(lively)))

    assert body["findings"] == []
    assert "offline provider" in body["summary"]
    assert "not looked at by a model" in body["summary"]


def test_flat_grey_has_low_contrast(talk: "Talk") -> None:
    """
    A flat grey image has a finding of low contrast, severe, with the figure, everywhere.
    """
    body = read_findings(analyze(talk, png(Image.new("RGB", (256, 256), (128, 128, 128)))))

    (finding,) = body["findings"]
    assert finding["issue"] == "Low contrast, deviation 0 of 255"
    assert (finding["where"], finding["severity"]) == ("whole image", "high")
    assert finding["remedy"] == "Increase the contrast."


def test_response_is_one_message(talk: "Talk", lively: Image.Image) -> None:
    """
    The response echoes the schema, has a message alone, and bills the mainline model alone.
    """
    response = analyze(talk, png(lively))

    assert response["text"]["format"] == FORM
    assert [item["type"] for item in response["output"]] == ["message"]
    assert response["tool_usage"]["image_gen"]["total_tokens"] == 0
    length = len(response["output"][0]["content"][0]["text"])
    assert response["usage"]["output_tokens"] == pytest.approx(length / 4, abs=1)
    assert response["usage"]["input_tokens"] > 1024


def test_streamed_text_is_the_same(talk: "Talk", lively: Image.Image) -> None:
    """
    Streamed, the deltas add up to the same text.
    """
    plain = analyze(talk, png(lively))
    events = talk.events([talk.message("Look", png(lively))], tools=[], text=TEXT)
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]

    assert "".join(deltas) == plain["output"][0]["content"][0]["text"]
    assert events[-1]["type"] == "response.completed"


def test_background_analysis(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    In the background, the findings are there after the latency.
    """
    now = [0.0]
    talk = connect(FakeOpenAI(latency=5, clock=lambda: now[0]))
    queued = analyze(talk, tiny_image(), background=True)
    assert (queued["status"], queued["output"]) == ("queued", [])

    now[0] = 6.0
    assert read_findings(talk.get(f"/responses/{queued['id']}"))["summary"]


def test_uploaded_image_is_analyzed(talk: "Talk") -> None:
    """
    The image may be an uploaded file.
    """
    grey = png(Image.new("RGB", (64, 64), (90, 90, 90)))
    file = talk.client.files.create(file=("a.png", grey), purpose="vision")
    content = [{"type": "input_image", "file_id": file.id}]
    body = {"model": "gpt-5.4", "input": [{"role": "user", "content": content}], "text": TEXT}

    assert "Low contrast" in read_findings(talk.post(body))["findings"][0]["issue"]


@pytest.mark.parametrize("expired", [False, True])
def test_missing_file_is_rejected(
    connect: "Callable[[FakeOpenAI], Talk]", *, expired: bool
) -> None:
    """
    An unknown or expired file is rejected, and the error has its id and path.
    """
    now = [0.0]
    talk = connect(FakeOpenAI(clock=lambda: now[0]))
    file_id = "file-unknown"
    if expired:
        file_id = talk.client.files.create(
            file=("a.png", tiny_image()),
            purpose="vision",
            expires_after={"anchor": "created_at", "seconds": 3600},
        ).id
        now[0] = 3601.0
    content = [{"type": "input_image", "file_id": file_id}]
    status, error = talk.refused([{"role": "user", "content": content}], tools=[], text=TEXT)

    assert (status, error["param"]) == (404, "input[0].content[0].file_id")
    assert error["message"] == f"No such File object: {file_id}"


def test_generated_image_is_analyzed_and_edited(talk: "Talk") -> None:
    """
    An analysis may be about the image of an earlier response, and an edit may follow it.
    """
    drawn = talk.make("foggy forest", tool={"size": "1024x1024"})
    analyzed = analyze(talk, previous_response_id=drawn["id"])
    found = read_findings(analyzed)["findings"]
    assert any("Low contrast" in finding["issue"] for finding in found)

    prompt = f"Mend:\n- {found[0]['issue']} (whole image): Increase the contrast."
    edited = talk.make(prompt, previous_response_id=analyzed["id"])
    before, after = (
        ImageStat.Stat(talk.picture(response).convert("L")).stddev[0]
        for response in (drawn, edited)
    )
    assert talk.pictures(edited)[0]["action"] == "edit"
    assert after > 1.2 * before


def test_edit_follows_an_analysis(talk: "Talk", lively: Image.Image) -> None:
    """
    After the analysis of an input image, an edit applies to that image.
    """
    analyzed = analyze(talk, png(lively))
    edited = talk.make("Increase the contrast.", previous_response_id=analyzed["id"])

    assert talk.pictures(edited)[0]["action"] == "edit"


def test_earlier_image_by_its_item(talk: "Talk") -> None:
    """
    The image may be given by the id of its item.
    """
    (drawn,) = talk.pictures(talk.make("foggy forest"))
    items = [{"type": "image_generation_call", "id": drawn["id"]}]
    body = {"model": "gpt-5.4", "input": items, "text": TEXT}

    assert "Low contrast" in str(read_findings(talk.post(body)))


def test_request_without_an_image(talk: "Talk") -> None:
    """
    Without an image the summary says so, and there are no findings.
    """
    body = read_findings(analyze(talk))

    assert body == {
        "summary": "There is no picture to measure in this request.",
        "findings": [],
    }


def test_refusal_replaces_the_findings(talk: "Talk", provider: FakeOpenAI) -> None:
    """
    A model that refuses reports no findings.
    """
    provider.refuse_next("I would rather not.")
    response = analyze(talk, tiny_image())

    assert response["output"][0]["content"][0]["refusal"] == "I would rather not."


def test_other_schemas_are_rejected(talk: "Talk") -> None:
    """
    Another schema is rejected, and the error says what the offline provider can do.
    """
    other = {**SCHEMA, "required": ["summary"], "properties": {"summary": {"type": "string"}}}
    error = rejected(talk, {**FORM, "schema": other})

    assert "can only report findings" in error["message"]
    assert (error["param"], error["code"]) == ("text.format.schema", "invalid_value")
    assert "can only report findings" in rejected(talk, {"type": "json_object"})["message"]


def test_schema_annotations_do_not_matter(talk: "Talk") -> None:
    """
    A schema with descriptions, titles and another order is the same schema.
    """
    remarked = json.loads(json.dumps(SCHEMA))
    remarked["title"] = "Findings"
    remarked["required"].reverse()
    remarked["properties"]["summary"]["description"] = "In a sentence"
    text_format = {**FORM, "schema": remarked}

    assert read_findings(analyze(talk, tiny_image(), text={"format": text_format}))


def test_image_tool_precedes_the_schema(talk: "Talk") -> None:
    """
    A request with the image tool generates an image, whatever its text format.
    """
    for text_format in (FORM, {"type": "json_object"}, {"type": "text"}):
        assert talk.pictures(talk.make("a kite", text={"format": text_format}))


def test_dark_images_and_borders_are_found(lively: Image.Image) -> None:
    """
    Too little light and an empty border are found, with their figures.
    """
    dark = json.loads(analysis_json(png(ImageEnhance.Brightness(lively).enhance(0.2))))
    assert any("Too dark, mean brightness" in each["issue"] for each in dark["findings"])
    framed = Image.new("RGB", (512, 512), "white")
    framed.paste(lively.crop((0, 0, 256, 256)), (128, 128))
    issues = [each["issue"] for each in json.loads(analysis_json(png(framed)))["findings"]]
    assert "Empty border, 75% of the area" in issues


def test_remedies_are_understood(lively: Image.Image) -> None:
    """
    A flat image that is edited by its own remedies is flat no more.
    """
    flat = ImageEnhance.Contrast(lively).enhance(0.15)
    before = json.loads(analysis_json(png(flat)))["findings"]
    prompt = "Mend:\n" + "".join(f"- {each['issue']}: {each['remedy']}\n" for each in before)
    assert "contrast" in prompt
    assert not json.loads(analysis_json(render(start(prompt, base=png(flat)))))["findings"]


def test_truncated_image_is_not_measured() -> None:
    """
    An image whose decoding fails is reported as unreadable.
    """
    plain = render(start("a cat", size=(256, 256)))
    assert "cannot be read" in json.loads(analysis_json(plain[: len(plain) // 2]))["summary"]

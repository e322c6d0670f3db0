"""
Findings about a picture as structured output: true of the pixels, and in the asked form.
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
    Give a picture with which nothing is wrong.
    """
    data = render(start("a cat and a house in a garden", size=(512, 512)))
    return Image.open(io.BytesIO(data)).convert("RGB")


def png(image: Image.Image) -> bytes:
    """
    Encode a picture.
    """
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def ask(talk: "Talk", *images: bytes, **body: object) -> Json:
    """
    Ask for findings about pictures.
    """
    prompt = [talk.message("What would you mend?", *images)]
    return talk.post({"model": "gpt-5.4", "input": prompt, "text": TEXT, **body})


def refused(talk: "Talk", form: object) -> Json:
    """
    Ask for an answer in a form that is refused, and give the error object.
    """
    with pytest.raises(openai.BadRequestError) as caught:
        ask(talk, tiny_image(), text={"format": form})
    error: Json = caught.value.response.json()["error"]
    return error


def read_findings(response: Json) -> Json:
    """
    Read the one message of a response, and hold it to the schema.
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


def test_good_picture_has_no_findings(talk: "Talk", lively: Image.Image) -> None:
    """
    A sharp, well-lit picture has nothing to mend, and the summary says who looked.
    """
    body = read_findings(ask(talk, png(lively)))

    assert body["findings"] == []
    assert "offline provider" in body["summary"]
    assert "not looked at by a model" in body["summary"]


def test_flat_grey_has_low_contrast(talk: "Talk") -> None:
    """
    A flat grey picture has low contrast, severely, with the figure, everywhere.
    """
    body = read_findings(ask(talk, png(Image.new("RGB", (256, 256), (128, 128, 128)))))

    (finding,) = body["findings"]
    assert finding["issue"] == "Low contrast, deviation 0 of 255"
    assert (finding["where"], finding["severity"]) == ("whole picture", "high")
    assert finding["remedy"] == "Increase the contrast."


def test_reply_is_one_message(talk: "Talk", lively: Image.Image) -> None:
    """
    The reply repeats the asked form, holds a message alone, and bills the mainline model alone.
    """
    response = ask(talk, png(lively))

    assert response["text"]["format"] == FORM
    assert [item["type"] for item in response["output"]] == ["message"]
    assert response["tool_usage"]["image_gen"]["total_tokens"] == 0
    said = len(response["output"][0]["content"][0]["text"])
    assert response["usage"]["output_tokens"] == pytest.approx(said / 4, abs=1)
    assert response["usage"]["input_tokens"] > 1024


def test_real_client_parses_findings(talk: "Talk", lively: Image.Image) -> None:
    """
    The openai client gives the text of the reply.
    """
    create: Any = talk.client.responses.create  # takes plain JSON as well as its own types
    response = create(
        model="gpt-6-luna", input=[talk.message("Look", png(lively))], text={"format": FORM}
    )
    assert json.loads(response.output_text)["findings"] == []


def test_streamed_words_are_the_report(talk: "Talk", lively: Image.Image) -> None:
    """
    Streamed, the deltas add up to the same report.
    """
    whole = ask(talk, png(lively))
    events = talk.events([talk.message("Look", png(lively))], tools=[], text=TEXT)
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]

    assert "".join(deltas) == whole["output"][0]["content"][0]["text"]
    assert events[-1]["type"] == "response.completed"


def test_background_report(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    In the background, the report is there when the time is over.
    """
    now = [0.0]
    talk = connect(FakeOpenAI(latency=5, clock=lambda: now[0]))
    queued = ask(talk, tiny_image(), background=True)
    assert (queued["status"], queued["output"]) == ("queued", [])

    now[0] = 6.0
    assert read_findings(talk.get(f"/responses/{queued['id']}"))["summary"]


def test_uploaded_picture_is_looked_at(talk: "Talk") -> None:
    """
    A picture may come as an uploaded file.
    """
    grey = png(Image.new("RGB", (64, 64), (90, 90, 90)))
    file = talk.client.files.create(file=("a.png", grey), purpose="vision")
    content = [{"type": "input_image", "file_id": file.id}]
    body = {"model": "gpt-5.4", "input": [{"role": "user", "content": content}], "text": TEXT}

    assert "Low contrast" in read_findings(talk.post(body))["findings"][0]["issue"]


@pytest.mark.parametrize("expired", [False, True])
def test_missing_file_is_refused(connect: "Callable[[FakeOpenAI], Talk]", *, expired: bool) -> None:
    """
    An unknown or expired file is refused, and the error names it and where it stands.
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


def test_drawn_picture_is_looked_at_and_gone_on_from(talk: "Talk") -> None:
    """
    A report may be about the picture of an earlier response, and an edit may follow the report.
    """
    drawn = talk.make("foggy forest", tool={"size": "1024x1024"})
    looked = ask(talk, previous_response_id=drawn["id"])
    found = read_findings(looked)["findings"]
    assert any("Low contrast" in finding["issue"] for finding in found)

    prompt = f"Mend:\n- {found[0]['issue']} (whole picture): Increase the contrast."
    mended = talk.make(prompt, previous_response_id=looked["id"])
    before, after = (
        ImageStat.Stat(talk.picture(response).convert("L")).stddev[0]
        for response in (drawn, mended)
    )
    assert talk.pictures(mended)[0]["action"] == "edit"
    assert after > 1.2 * before


def test_edit_follows_a_report_on_a_sent_picture(talk: "Talk", lively: Image.Image) -> None:
    """
    After a report on a picture that was sent, that picture is the one to edit.
    """
    looked = ask(talk, png(lively))
    edited = talk.make("Increase the contrast.", previous_response_id=looked["id"])

    assert talk.pictures(edited)[0]["action"] == "edit"


def test_earlier_picture_by_its_item(talk: "Talk") -> None:
    """
    The picture may be named by the id of its item.
    """
    (drawn,) = talk.pictures(talk.make("foggy forest"))
    items = [{"type": "image_generation_call", "id": drawn["id"]}]
    body = {"model": "gpt-5.4", "input": items, "text": TEXT}

    assert "Low contrast" in str(read_findings(talk.post(body)))


def test_request_without_picture_says_so(talk: "Talk") -> None:
    """
    Where there is nothing to look at, the report says so and finds nothing.
    """
    body = read_findings(ask(talk))

    assert body == {
        "summary": "There is no picture to measure in this request.",
        "findings": [],
    }


def test_unreadable_picture_is_refused(talk: "Talk") -> None:
    """
    Bytes that are no picture are refused as for drawing.
    """
    with pytest.raises(openai.BadRequestError, match="Invalid image file"):
        ask(talk, b"no picture")


def test_refusal_takes_the_place_of_a_report(talk: "Talk", provider: FakeOpenAI) -> None:
    """
    A model that declines gives no report.
    """
    provider.refuse_next("I would rather not.")
    response = ask(talk, tiny_image())

    assert response["output"][0]["content"][0]["refusal"] == "I would rather not."


def test_other_schemas_are_refused_plainly(talk: "Talk") -> None:
    """
    A schema that is not that of findings is refused with what the offline provider can do.
    """
    other = {**SCHEMA, "required": ["summary"], "properties": {"summary": {"type": "string"}}}
    error = refused(talk, {**FORM, "schema": other})

    assert "can only report findings" in error["message"]
    assert (error["param"], error["code"]) == ("text.format.schema", "invalid_value")
    assert "can only report findings" in refused(talk, {"type": "json_object"})["message"]


def test_remarks_in_the_schema_do_not_matter(talk: "Talk") -> None:
    """
    Descriptions, titles and another order make no other schema.
    """
    remarked = json.loads(json.dumps(SCHEMA))
    remarked["title"] = "Findings"
    remarked["required"].reverse()
    remarked["properties"]["summary"]["description"] = "In a sentence"
    form = {**FORM, "schema": remarked}

    assert read_findings(ask(talk, tiny_image(), text={"format": form}))


def test_drawing_goes_before_reporting(talk: "Talk") -> None:
    """
    A request with the image tool draws, whatever form its words are to have.
    """
    for form in (FORM, {"type": "json_object"}, {"type": "text"}):
        assert talk.pictures(talk.make("a kite", text={"format": form}))


def test_dark_and_bordered_pictures_are_found(lively: Image.Image) -> None:
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
    A flat picture that is edited by its own remedies is flat no more.
    """
    flat = ImageEnhance.Contrast(lively).enhance(0.15)
    before = json.loads(analysis_json(png(flat)))["findings"]
    prompt = "Mend:\n" + "".join(f"- {each['issue']}: {each['remedy']}\n" for each in before)
    assert "contrast" in prompt
    assert not json.loads(analysis_json(render(start(prompt, base=png(flat)))))["findings"]


def test_broken_picture_is_not_measured() -> None:
    """
    A picture that only looks whole until it is decoded is reported as unreadable.
    """
    whole = render(start("a cat", size=(256, 256)))
    assert "cannot be read" in json.loads(analysis_json(whole[: len(whole) // 2]))["summary"]

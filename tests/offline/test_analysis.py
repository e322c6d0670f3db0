"""
Findings about a picture as structured output: true of the pixels, and in the asked form.
"""

import io
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter, ImageStat

from imagesession._offline.errors import RefusedError
from imagesession._offline.findings import report
from imagesession._offline.painter import begin, paint
from imagesession._offline.painter.pixels import resized
from imagesession._offline.painter.remedies import read
from imagesession._offline.reading import Node
from imagesession._offline.schemas import wants_findings
from imagesession.testing import OfflineProvider, tiny_image

if TYPE_CHECKING:
    from tests.offline.conftest import Talk

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
    data = paint(begin("a cat and a house in a garden", size=(512, 512)))
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


def remedies(body: Json) -> set[str]:
    """
    Name what the painter reads out of all remedies.
    """
    return {mend.kind for finding in body["findings"] for mend in read(finding["remedy"]).mends}


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
    assert finding["issue"] == "Low contrast, tones span 0 of 255 with a deviation of 0"
    assert (finding["where"], finding["severity"]) == ("whole picture", "high")
    assert finding["remedy"] == "Increase the contrast."


def test_figures_are_those_of_the_pixels(talk: "Talk", lively: Image.Image) -> None:
    """
    The brightness in a finding is the one that Pillow measures.
    """
    dark = ImageEnhance.Brightness(lively).enhance(0.25)
    body = read_findings(ask(talk, png(dark)))

    issue = next(each["issue"] for each in body["findings"] if "dark" in each["issue"])
    told = int(re.findall(r"\d+", issue)[0])
    assert told == pytest.approx(ImageStat.Stat(dark.convert("L")).mean[0], abs=1)
    assert {"brighter", "contrast"} <= remedies(body)


def _grained(image: Image.Image) -> Image.Image:
    noise = Image.effect_noise(image.size, 50).convert("RGB")
    return Image.blend(image, noise, 0.35)


def _framed(image: Image.Image) -> Image.Image:
    framed = Image.new("RGB", image.size, (250, 250, 250))
    framed.paste(resized(image, (image.width // 2, image.height)), (image.width // 4, 0))
    return framed


def _dulled(image: Image.Image) -> Image.Image:
    return ImageEnhance.Color(image).enhance(0.2)


def _bleached(image: Image.Image) -> Image.Image:
    return Image.blend(image, Image.new("RGB", image.size, "white"), 0.7)


def _blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(4))


def _tinged(image: Image.Image) -> Image.Image:
    return Image.blend(image, Image.new("RGB", image.size, (40, 90, 255)), 0.3)


@pytest.mark.parametrize(
    "spoil,kind,where",
    [
        (_dulled, "vivid", "whole picture"),
        (_bleached, "darker", "whole picture"),
        (_blurred, "sharper", "whole picture"),
        (_grained, "noise", "whole picture"),
        (_framed, "margins", "left and right margins"),
        (_tinged, "cast", "whole picture"),
    ],
)
def test_defects_are_found(
    talk: "Talk",
    lively: Image.Image,
    spoil: Callable[[Image.Image], Image.Image],
    kind: str,
    where: str,
) -> None:
    """
    Each way to spoil a picture is found, placed, and given a remedy that the painter understands.
    """
    body = read_findings(ask(talk, png(spoil(lively))))

    assert kind in remedies(body)
    assert where in {finding["where"] for finding in body["findings"]}
    assert len(body["findings"]) <= 3


def test_clipped_parts_are_placed(lively: Image.Image) -> None:
    """
    Blown highlights and crushed shadows are said to be where they are.
    """
    spoilt = lively.copy()
    spoilt.paste((255, 255, 255), (340, 340, 500, 500))
    spoilt.paste((0, 0, 0), (12, 12, 170, 170))
    found = {
        each["issue"][:5]: each["where"] for each in json.loads(report(png(spoilt)))["findings"]
    }

    assert found == {"Blown": "lower right", "Crush": "upper left"}


def test_logo_on_white_is_not_blown_out() -> None:
    """
    A plain ground is neither blown highlights nor crushed shadows.
    """
    for ground in ("white", "black"):
        image = Image.new("RGB", (300, 300), ground)
        image.paste((200, 60, 60), (60, 60, 240, 240))
        assert "without detail" not in report(png(image))


def test_transparent_pictures_are_judged_by_what_is_seen() -> None:
    """
    Clear pixels count as margins, not as darkness.
    """
    image = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    image.paste((230, 150, 60, 255), (100, 100, 150, 200))
    image.paste((40, 60, 200, 255), (150, 100, 200, 200))
    issues = " ".join(finding["issue"] for finding in json.loads(report(png(image)))["findings"])

    assert "dark" not in issues
    assert "Empty margins, 89% of the area" in issues


def test_every_remedy_mends() -> None:
    """
    After the remedies of its findings, a poor picture has fewer and milder ones.
    """
    grade = {"low": 1, "medium": 2, "high": 3}
    poor = Image.open(io.BytesIO(paint(begin("a cat and a house", size=(512, 512))))).convert("RGB")
    poor = ImageEnhance.Brightness(ImageEnhance.Color(poor).enhance(0.3)).enhance(0.25)
    before = json.loads(report(png(poor)))["findings"]
    prompt = "Mend:\n" + "".join(
        f"- {each['issue']} ({each['where']}): {each['remedy']}\n" for each in before
    )
    after = json.loads(report(paint(begin(prompt, base=png(poor)))))["findings"]

    total = sum(grade[each["severity"]] for each in before)
    assert sum(grade[each["severity"]] for each in after) < total / 2


def test_little_is_asked_where_little_is_wrong(lively: Image.Image) -> None:
    """
    A mild finding has a mild remedy, which the painter understands as such.
    """
    flat = ImageEnhance.Contrast(lively).enhance(0.7)
    (finding,) = json.loads(report(png(flat)))["findings"]

    assert (finding["severity"], finding["remedy"]) == ("low", "Increase the contrast slightly.")
    assert [mend.strength for mend in read(finding["remedy"]).mends] == [0.5]


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


def test_background_report(connect: "Callable[[OfflineProvider], Talk]") -> None:
    """
    In the background, the report is there when the time is over.
    """
    now = [0.0]
    talk = connect(OfflineProvider(latency=5, clock=lambda: now[0]))
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
def test_missing_file_is_refused(
    connect: "Callable[[OfflineProvider], Talk]", *, expired: bool
) -> None:
    """
    An unknown or expired file is refused, and the error names it and where it stands.
    """
    now = [0.0]
    talk = connect(OfflineProvider(clock=lambda: now[0]))
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


def test_refusal_takes_the_place_of_a_report(talk: "Talk", provider: OfflineProvider) -> None:
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


@pytest.mark.parametrize(
    "change,words,param,code",
    [
        ({"name": None}, "Missing required parameter", "text.format.name", None),
        ({"name": "a b"}, "does not match pattern", "text.format.name", "invalid_value"),
        ({"schema": None}, "Missing required parameter", "text.format.schema", None),
        ({"schema": []}, "Invalid type", "text.format.schema", "invalid_type"),
        ({"strict": "yes"}, "Invalid type", "text.format.strict", "invalid_type"),
        ({"stric": True}, "Unknown parameter", "text.format.stric", "unknown_parameter"),
        ({"type": "xml"}, "Supported values", "text.format.type", "invalid_value"),
        ({"schema": {"type": "array"}}, "'type: \"array\"'", None, "invalid_json_schema"),
        (
            {"schema": {"type": "object", "properties": {}}},
            "In context=(), 'additionalProperties' is required to be supplied and to be false.",
            "text.format.schema",
            "invalid_json_schema",
        ),
        (
            {"schema": {**SCHEMA, "required": ["summary"]}},
            "including every key in properties. Missing 'findings'.",
            "text.format.schema",
            "invalid_json_schema",
        ),
        (
            {"schema": {**SCHEMA, "properties": {"summary": {}, "findings": {}}}},
            "In context=('properties', 'summary'), schema must have a 'type' key.",
            "text.format.schema",
            "invalid_json_schema",
        ),
        (
            {"schema": {**SCHEMA, "properties": {"summary": {"type": "text"}, "findings": {}}}},
            "'text' is not a valid type",
            "text.format.schema",
            "invalid_json_schema",
        ),
        (
            {"schema": {**SCHEMA, "properties": {"summary": 1, "findings": 1}}},
            "schema must be an object",
            "text.format.schema",
            "invalid_json_schema",
        ),
        (
            {"schema": {**SCHEMA, "required": "all"}},
            "Missing 'summary'",
            "text.format.schema",
            "invalid_json_schema",
        ),
        (
            {"schema": {**SCHEMA, "properties": []}},
            "'properties' must be an object",
            "text.format.schema",
            "invalid_json_schema",
        ),
        (
            {
                "schema": {
                    **SCHEMA,
                    "properties": {"summary": {"type": "string"}, "findings": {"type": "array"}},
                }
            },
            "array schema missing items",
            "text.format.schema",
            "invalid_json_schema",
        ),
    ],
)
def test_malformed_forms_are_refused(
    talk: "Talk", change: Json, words: str, param: str | None, code: str | None
) -> None:
    """
    A malformed form is refused as the API does, naming the place.
    """
    error = refused(talk, {**FORM, **change})

    assert words in error["message"]
    assert param in {None, error["param"]}
    assert code in {None, error["code"]}


def test_drawing_goes_before_reporting(talk: "Talk") -> None:
    """
    A request with the image tool draws, whatever form its words are to have.
    """
    for form in (FORM, {"type": "json_object"}, {"type": "text"}):
        assert talk.pictures(talk.make("a kite", text={"format": form}))


def test_truncated_picture_of_ours_is_not_measured() -> None:
    """
    A picture that only looks whole until it is decoded is reported as unreadable.
    """
    whole = paint(begin("a cat", size=(256, 256)))
    assert "cannot be read" in json.loads(report(whole[: len(whole) // 2]))["summary"]


_SCHEMAS = st.recursive(
    st.none() | st.booleans() | st.text(max_size=6) | st.just({"type": "string"}),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "required", "items", "enum", "a", "title"])
            | st.text(max_size=4),
            inner | st.sampled_from(["object", "array", "string"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_SCHEMAS, st.booleans())
@settings(max_examples=80, deadline=None)
def test_any_other_schema_is_refused(schema: object, strict: bool) -> None:  # noqa: FBT001 - hypothesis passes it so
    """
    Whatever stands in place of the schema, it is refused with an error that says where.
    """
    form = Node({"format": {**FORM, "schema": schema, "strict": strict}}, "text")
    with pytest.raises(RefusedError) as caught:
        wants_findings(form, draws=False)
    assert str(caught.value.error["param"]).startswith("text.format.schema")


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.integers(1, 90))
@settings(max_examples=40, deadline=None)
def test_any_report_fits_the_schema(red: int, green: int, blue: int, side: int) -> None:
    """
    Whatever the picture, the report is in the asked form and its remedies are understood.
    """
    image = Image.effect_noise((side, side + 3), red).convert("RGB")
    image = Image.blend(image, Image.new("RGB", image.size, (red, green, blue)), green / 255)
    text = report(png(image))
    body = read_findings({"output": [{"type": "message", "content": [{"text": text}]}]})

    assert len(remedies(body)) == len(body["findings"])

"""
Servers that speak OpenAI's protocol in their own dialect: every verb works on each, or says before
anything is paid that the server does not take it.

Every test runs over the sync and the async twin, unless it is about a table.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import attrs
import openai
import pytest
from PIL import Image, ImageOps

from imagesession import Mask, Studio
from imagesession._api.config import resolve_server
from imagesession._domain.servers import Feature, ServerProfile, builtin_servers
from imagesession._fake_openai.dialects import DIALECTS
from imagesession.errors import (
    BadRequestError,
    ImageSessionError,
    InvalidOptionError,
    InvalidRequestError,
)
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, Fault, serve, tiny_image
from tests.conftest import MakeStudio
from tests.imaging import making
from tests.sent import posts

RED = tiny_image()
MARKUP = making.encoded(ImageOps.expand(Image.new("RGBA", (32, 32), "red"), 16, (0, 0, 0, 0)))
PAID = {"/responses", "/images", "/images/generations", "/images/edits"}
SERVERS = ["openai", *DIALECTS]
# Azure has deployments, whose names only their owner knows.
OPTIONS: dict[str, dict[str, Any]] = {"azure": {"image_model": "gpt-image-2.5-sunburst"}}

VERBS: dict[str, Callable[[Any], Any]] = {
    "generate": lambda studio: studio.generate("a pot"),
    "size": lambda studio: studio.generate("a pot", size="1536x864"),
    "quality": lambda studio: studio.generate("a pot", quality="low"),
    "transparent": lambda studio: studio.generate("a pot", background="transparent"),
    "references": lambda studio: studio.generate("like these", references=[RED, RED]),
    "stream": lambda studio: list(studio.stream("a pot"))[-1],
    "edit": lambda studio: studio.edit("a blue one", image=RED),
    "mask": lambda studio: studio.edit(
        "a blue one", image=RED, mask=Mask.rectangle((8, 8, 40, 32))
    ),
    "markup": lambda studio: studio.edit("a blue one", image=RED, markup=MARKUP),
    "variations": lambda studio: studio.variations("a pot", n=2).raise_any()[-1],
    "together": lambda studio: studio.variations("a pot", n=2, api="images").raise_any()[-1],
    "product": lambda studio: studio.product("a pot"),
    "ui_asset": lambda studio: studio.ui_asset("icon", "a pot"),
    "analyze": lambda studio: studio.analyze(RED),
    "improve": lambda studio: studio.improve("more contrast", image=RED).image,
    "images api": lambda studio: studio.generate("a pot", api="images"),
    "map": lambda studio: studio.map(["a pot", "a cup"]).raise_any()[-1],
}


def paid(provider: FakeOpenAI) -> list[str]:
    """
    Return the paths of the requests that may be billed.
    """
    return [path for path in posts(provider) if path in PAID]


def studio_on(make_studio: MakeStudio, tmp_path: Path, name: str, **more: Any) -> Any:
    """
    Make a studio on a server.
    """
    options = {"provider": FakeOpenAI(dialect=name), "server": name, **OPTIONS.get(name, {})}
    return make_studio(tmp_path / "library", **options | more)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", SERVERS)
def test_every_verb_on_every_server(
    make_studio: MakeStudio, tmp_path: Path, name: str, verb: str
) -> None:
    """
    A verb returns what it promises, or raises a typed error before anything is paid.
    """
    provider = FakeOpenAI(dialect=name)
    studio = studio_on(make_studio, tmp_path, name, provider=provider)
    if name in REFUSING.get(verb, ()):
        with pytest.raises(InvalidRequestError, match=r"nothing was sent|does not support"):
            VERBS[verb](studio)
        assert not paid(provider)
    else:
        made = VERBS[verb](studio)
        assert made.summary if verb == "analyze" else made.bytes


REFUSING: dict[str, set[str]] = {
    "quality": {"xai", "localai", "vllm-omni"},
    "transparent": {"xai", "localai", "vllm-omni"},
    "mask": {"xai", "openrouter", "localai", "vllm-omni"},
    "markup": {"xai", "openrouter", "localai", "vllm-omni"},
    "analyze": {"plain"},
    "improve": {"plain"},
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_session_on_every_server(make_studio: MakeStudio, tmp_path: Path, name: str) -> None:
    """
    The second turn continues the first one's image, undo goes back, and a promoted image goes on.
    """
    provider = FakeOpenAI(dialect=name)
    studio = studio_on(make_studio, tmp_path, name, provider=provider)
    session = studio.session("Tea", name="tea")
    first = session.generate("a teapot")
    second = session.generate("more geometric")
    assert second.turn.parents == (first.id,)
    session.undo()
    assert session.edit("warmer").turn.parents == (first.id,)
    assert studio.promote(RED, "red").generate("with a border").bytes
    assert len(paid(provider)) == 4
    assert len(studio.images.list()) >= 4


@pytest.mark.parametrize("name", [*SERVERS])
def test_costs_are_reported_or_said_to_be_unknown(
    make_studio: MakeStudio, tmp_path: Path, name: str
) -> None:
    """
    A cost comes from reported tokens, from what the server says it was, or is unknown by name.
    """
    cost = studio_on(make_studio, tmp_path, name).generate("a pot").cost
    known = {"xai": 0.02, "openrouter": 0.0336}
    if name in known:
        assert cost.total == pytest.approx(known[name])
    elif name in {"localai", "vllm-omni", "plain"}:
        assert cost.total is None
        assert name in str(cost)
    else:
        assert cost.total > 0


# --- the wire -----------------------------------------------------------------------------------


def bodies(provider: FakeOpenAI, path: str) -> list[Any]:
    """
    Return the bodies that were sent to a path.
    """
    return [call.body for call in provider.requests if call.path == path]


def test_xai_gets_shapes_and_json(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    XAI takes a shape in place of a size, base64 on request, and input images as JSON.
    """
    provider = FakeOpenAI(dialect="xai")
    studio = studio_on(make_studio, tmp_path, "xai", provider=provider)
    image = studio.generate("a pot", size="1536x864")
    assert (image.format, posts(provider)) == ("jpeg", ["/images/generations"])
    assert bodies(provider, "/images/generations") == [
        {
            "model": "grok-imagine-image",
            "prompt": "a pot",
            "n": 1,
            "response_format": "b64_json",
            "aspect_ratio": "16:9",
        }
    ]
    studio.edit("blue", image=RED)
    (sent,) = bodies(provider, "/images/edits")
    assert [image["type"] for image in sent["images"]] == ["image_url"]
    assert base64.b64decode(sent["images"][0]["url"].partition(",")[2]) == RED
    with pytest.raises(InvalidOptionError, match="16:9") as caught:
        studio.generate("a pot", size="1600x1000")
    assert caught.value.nearest == ("3:2",)


def test_openrouter_gets_references_in_a_generation(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    OpenRouter has one endpoint, which takes input images too.
    """
    provider = FakeOpenAI(dialect="openrouter")
    studio_on(make_studio, tmp_path, "openrouter", provider=provider).edit("blue", image=RED)
    (sent,) = bodies(provider, "/images")
    (reference,) = sent["input_references"]
    assert base64.b64decode(reference["image_url"]["url"].partition(",")[2]) == RED
    assert (sent["model"], "response_format" in sent) == ("openai/gpt-image-2", False)


def test_localai_chooses_its_model_and_sends_base64(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    LocalAI is asked for base64, gets no name of a model that the caller did not choose, and input
    images as bare base64.
    """
    provider = FakeOpenAI(dialect="localai")
    studio = studio_on(make_studio, tmp_path, "localai", provider=provider)
    assert studio.generate("a pot", size="512x512").size == (512, 512)
    studio.edit("blue", image=RED, image_model="flux-kontext")
    first, second = bodies(provider, "/images/generations")
    assert first == {"prompt": "a pot", "n": 1, "size": "512x512", "response_format": "b64_json"}
    assert second["model"] == "flux-kontext"
    assert [base64.b64decode(text) for text in second["ref_images"]] == [RED]


def test_openai_gets_no_response_format(studio: Any, provider: FakeOpenAI) -> None:
    """
    OpenAI's models refuse `response_format`, so it goes out only where a table says that it is
    taken.
    """
    studio.generate("a pot", api="images")
    (sent,) = bodies(provider, "/images/generations")
    assert "response_format" not in sent


@pytest.mark.parametrize("verb", ["generate", "edit"])
def test_azure_by_its_old_door(tmp_path: Path, verb: str) -> None:
    """
    `AzureOpenAI` sends to `/openai/…?api-version=`, images by deployment, with its own key header;
    the image tool's model goes along in a header, and not in the body.
    """
    provider = FakeOpenAI(dialect="azure", api_key="secret")
    with (
        serve(provider) as served,
        openai.AzureOpenAI(
            azure_endpoint=f"http://127.0.0.1:{served.port}",
            api_key="secret",
            api_version="2026-09-01-preview",
        ) as client,
        Studio(tmp_path, client=client, server="azure", image_model="gpt-image-2") as studio,
    ):
        arguments = {"image": RED} if verb == "edit" else {}
        assert getattr(studio, verb)("a pot", **arguments).cost.total > 0
        assert getattr(studio, verb)("a pot", **arguments, api="images").cost.total > 0
    kind = "edits" if verb == "edit" else "generations"
    sent = [call for call in provider.requests if call.path != "/openai/files"]
    assert [call.path for call in sent] == [
        "/openai/responses",
        f"/openai/deployments/gpt-image-2/images/{kind}",
    ]
    assert {call.query["api-version"] for call in sent} == {"2026-09-01-preview"}
    assert sent[0].headers["x-ms-oai-image-generation-deployment"] == "gpt-image-2"
    assert "model" not in sent[0].body["tools"][0]


def test_azure_by_its_v1_door(tmp_path: Path) -> None:
    """
    The plain client reaches the same beneath `/openai/v1/`.
    """
    provider = FakeOpenAI(dialect="azure", api_key="secret")
    with serve(provider) as served:
        base_url = f"http://127.0.0.1:{served.port}/openai/v1/"
        with Studio(
            tmp_path, base_url=base_url, api_key="secret", server="azure", image_model="gpt-image-2"
        ) as studio:
            session = studio.session("Tea")
            session.generate("a teapot")
            assert session.generate("more geometric").turn.context == "continued"
    assert {call.path for call in provider.requests} == {"/openai/v1/responses"}


def test_azure_wants_a_deployment_by_name(tmp_path: Path) -> None:
    """
    Without a name of the image model's deployment nothing is sent, unless the client's own headers
    have it.
    """
    header = "x-ms-oai-image-generation-deployment"
    url = "https://example.openai.azure.com/openai/v1/"
    with (
        openai.OpenAI(base_url=url, api_key="k", default_headers={header: "pictures"}) as client,
        Studio(tmp_path / "1", client=client) as named,
        Studio(tmp_path / "2", base_url=url, api_key="k") as unnamed,
    ):
        assert named.estimate("a pot").low > 0
        with pytest.raises(InvalidOptionError, match="deployment"):
            unnamed.estimate("a pot")


# --- what a server lacks is found out, and remembered ------------------------------------------


def rejecting(status: int, body: Any) -> Fault:
    """
    Let `/responses` answer with an error, as a server without the image tool does.
    """
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def respond(_: FakeRequest) -> FakeResponse:
        headers = {"content-type": "application/json"}
        return FakeResponse(status=status, headers=headers, parts=iter((data,)))

    return Fault(method="POST", path="/responses", response=respond)


LACKING: dict[str, tuple[int, Any]] = {
    "hosted tool": (
        400,
        {"error": {"message": "Hosted tool 'image_generation' is not supported"}},
    ),
    "tool type": (
        400,
        {"error": {"message": "Tool type image_generation not supported", "param": "tools"}},
    ),
    "no words": (400, {"error": {"message": "not supported"}}),
    "vLLM": (
        404,
        {
            "error": {
                "message": "The model `gpt-6-luna` does not exist.",
                "type": "NotFoundError",
                "param": "model",
                "code": 404,
            }
        },
    ),
    "Azure, number": (404, {"error": {"code": "404", "message": "Resource not found"}}),
    "Azure, word": (404, {"error": {"code": "NotFound", "message": "The resource is missing."}}),
    "aimock": (
        404,
        {
            "error": {
                "message": "No fixture matched",
                "type": "invalid_request_error",
                "code": "no_fixture_match",
            }
        },
    ),
    "FastAPI": (404, {"detail": "Not Found"}),
    "empty": (404, b""),
    "not implemented": (501, {"detail": "Not implemented"}),
}


@pytest.mark.parametrize("kind", LACKING)
def test_a_server_without_the_image_tool_is_used_by_its_images_api(
    make_studio: MakeStudio, tmp_path: Path, kind: str
) -> None:
    """
    The Images API makes the image, and the library remembers it for other programs.
    """
    provider = FakeOpenAI()
    provider.enqueue_fault(rejecting(*LACKING[kind]), times=9)
    assert make_studio(tmp_path, provider=provider).generate("a pot").bytes
    assert posts(provider)[-1] == "/images/generations"
    before = len(posts(provider))
    make_studio(tmp_path, provider=provider).generate("a cup")
    assert posts(provider)[before:] == ["/images/generations"]


@pytest.mark.parametrize(
    "status, error",
    [
        (400, {"message": "Invalid size '1x1' for image_generation.", "param": "tools[0].size"}),
        (404, {"message": "The model `mine` does not exist.", "param": "model"}),
        (400, {"message": "Your request was malformed."}),
    ],
)
def test_a_rejection_of_something_else_is_an_error(
    make_studio: MakeStudio, tmp_path: Path, status: int, error: Any
) -> None:
    """
    What a caller has to correct, such as the model that was named, does not lead to the Images API.
    """
    provider = FakeOpenAI()
    provider.enqueue_fault(rejecting(status, {"error": error}), times=9)
    with pytest.raises(BadRequestError):
        make_studio(tmp_path, provider=provider, model="mine").generate("a pot")
    assert set(posts(provider)) == {"/responses"}


def test_a_server_known_to_have_the_tool_keeps_its_errors(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    OpenAI has the image tool; if one of its models does not take it, that is the answer.
    """
    provider = FakeOpenAI()
    provider.enqueue_fault(rejecting(*LACKING["hosted tool"]), times=9)
    with pytest.raises(BadRequestError, match="Hosted tool"):
        make_studio(tmp_path, provider=provider, server="openai").generate("a pot")
    assert set(posts(provider)) == {"/responses"}


def test_files_endpoint_that_fails_is_asked_once(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A proxy's 500 at `/files` is a lack, and remembered for other programs; images go in full.
    """
    provider = FakeOpenAI(dialect="litellm")
    for _ in range(2):
        assert make_studio(tmp_path, provider=provider).edit("blue", image=RED).bytes
    assert posts(provider) == ["/files", "/responses", "/responses"]


def test_openais_files_are_asked_again_after_a_failure(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    OpenAI has the endpoint, so its 500 is a failure that passes.
    """
    provider = FakeOpenAI()
    provider.fail_next(status=500, method="POST", path="/files")
    studio = make_studio(tmp_path, provider=provider, server="openai")
    for _ in range(2):
        studio.edit("blue", image=RED)
    assert posts(provider).count("/files") == 2


@pytest.mark.parametrize("path", ["/responses", "/images/generations"])
def test_an_unavailable_proxy_proves_nothing(
    make_studio: MakeStudio, tmp_path: Path, path: str
) -> None:
    """
    A 503 with a proxy's page may come after the work was done: nothing is sent again.
    """
    provider = FakeOpenAI()
    page = rejecting(503, b"<html>503 Service Temporarily Unavailable</html>")
    provider.enqueue_fault(Fault(method="POST", path=path, response=page.response), times=9)
    api = "images" if path.startswith("/images") else "responses"
    studio = make_studio(tmp_path, provider=provider, retry_timeout=5, api=api)
    with pytest.raises(ImageSessionError, match="not sent again"):
        studio.generate("a pot")
    assert posts(provider) == [path]


def test_every_request_asks_proxies_not_to_repeat_it(studio: Any, provider: FakeOpenAI) -> None:
    """
    LiteLLM repeats failed requests by itself, unless a header says otherwise.
    """
    studio.edit("blue", image=RED)
    studio.edit("blue", image=RED, api="images")
    assert len(provider.requests) == 3
    assert {call.headers["x-litellm-num-retries"] for call in provider.requests} == {"0"}


# --- the table ----------------------------------------------------------------------------------


def test_builtin_servers_are_dated_and_sourced() -> None:
    """
    Each table says when its facts were checked, and where they are from.
    """
    servers = builtin_servers()
    assert set(servers) == {*DIALECTS, "openai"}
    for profile in servers.values():
        assert profile.checked is not None
        assert profile.checked >= dt.date(2026, 11, 1)
        assert profile.source


def test_reference_explains_every_key_and_feature() -> None:
    """
    The reference page names each key of a table, and each feature.
    """
    page = (Path(__file__).parents[1] / "docs" / "reference" / "servers.md").read_text("utf-8")
    keys = {field.name for field in attrs.fields(ServerProfile)} - {"name"}
    assert [name for name in (*keys, *get_args(Feature)) if f"`{name}`" not in page] == []
    for name, profile in builtin_servers().items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        named = set(re.findall(r"`([^`]+)`", row))
        assert named == {name, *profile.hosts, *profile.lacks, *profile.refuses}


@pytest.mark.parametrize(
    "host, name",
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("mine.openai.azure.com", "azure"),
        ("api.x.ai", "xai"),
        ("openrouter.ai", "openrouter"),
        ("notapi.openai.com.evil.example", "notapi.openai.com.evil.example"),
        ("localhost", "localhost"),
    ],
)
def test_servers_are_recognised_by_host(host: str, name: str) -> None:
    """
    A known host has its table; nothing is assumed of any other.
    """
    profile = resolve_server(None, host)
    assert profile.name == name
    assert bool(profile.source) == (name in builtin_servers())


def test_a_table_of_ones_own(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A server can be described by a file, or by a mapping.
    """
    facts = {"lacks": ["responses"], "image_model": "sdxl", "price": 0.01, "refuses": ["quality"]}
    file = tmp_path / "servers.toml"
    file.write_text(
        '[mine]\nlacks = ["responses"]\nimage_model = "sdxl"\nprice = 0.01\n'
        'refuses = ["quality"]\n',
        "utf-8",
    )
    for number, server in enumerate((facts, file, str(file))):
        provider = FakeOpenAI(dialect="plain")
        studio = make_studio(tmp_path / str(number), provider=provider, server=server)
        assert studio.generate("a pot").cost.total == 0.01
        assert bodies(provider, "/images/generations")[0]["model"] == "sdxl"
        with pytest.raises(InvalidOptionError, match="quality"):
            studio.generate("a pot", quality="high")


@pytest.mark.parametrize(
    "text, message",
    [
        ("[mine", "cannot be read"),
        ("[mine]\nreplies = 1", "unknown key 'replies'. Did you mean 'reply'"),
        ('[mine]\nreply = "urls"', 'reply=\'urls\' is not "b64_json" or "url"'),
        ('[mine]\nlacks = ["file"]', "not a list of some of"),
        ('[mine]\nlacks = "files"', "not a list of some of"),
        ('[mine]\nhas = ["files"]\nlacks = ["files"]', "files in has and in lacks"),
        ("[mine]\nprice = -1", "not a number of US dollars"),
        ('[mine]\nprice = "0.01"', "not a number of US dollars"),
        ("[mine]\nprice = nan", "not a number of US dollars"),
        ('[mine]\naspect_ratios = ["0:1"]', "not a list of ratios"),
        ('[mine]\nimage_hosts = ["https://cdn.example.com/x"]', "not a list of host names"),
        ('[mine]\nheaders = { "a b" = "c" }', "not a table of headers"),
        ('[mine]\ngenerations = "https://elsewhere.example/"', "not a path"),
        ('[mine]\nrefuses = ["colour"]', "not a list of some of"),
        ("mine = 5", "not a table"),
        ("[mine]\n[yours]", "has 2 servers"),
        ("", "has 0 servers"),
    ],
)
def test_mistakes_in_a_table_are_named(tmp_path: Path, text: str, message: str) -> None:
    """
    The error names the file, the key and the form that it should have.
    """
    file = tmp_path / "servers.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(InvalidRequestError, match=r"servers\.toml") as caught:
        Studio.offline(tmp_path / "library", server=file)
    assert message in caught.value.message


@pytest.mark.parametrize("server", ["localay", 7, "missing.toml", {"lacks": 7}, ["localai"]])
def test_unknown_servers_are_refused(make_studio: MakeStudio, tmp_path: Path, server: Any) -> None:
    """
    Anything but a known name, a table or facts is a typed error.
    """
    with pytest.raises(InvalidRequestError, match="server"):
        make_studio(tmp_path, server=server)

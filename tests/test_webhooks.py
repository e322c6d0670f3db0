"""
Webhooks of the provider settle what was submitted, without polling and without trusting anybody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import pytest

from imagesession.errors import AuthenticationError, InvalidRequestError
from tests.clock import HoldingProvider
from tests.conftest import MakeStudio

SECRET = "whsec_" + base64.b64encode(b"a secret of 24 characters").decode()
LOW: dict[str, Any] = {"quality": "low", "size": "1024x1024"}


def delivery(event: object, *, secret: str = SECRET, age: float = 0.0) -> dict[str, Any]:
    """
    Sign a delivery as the Standard Webhooks specification says, which OpenAI uses.
    """
    body, sent = json.dumps(event), str(int(time.time() - age))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"wh_1.{sent}.{body}".encode(), hashlib.sha256).digest()
    headers = {
        "webhook-id": "wh_1",
        "webhook-timestamp": sent,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    return {"body": body.encode(), "headers": headers, "secret": SECRET}


def finished(response_id: str) -> dict[str, Any]:
    """
    Return the event of a completed response.
    """
    return {
        "id": "evt_1",
        "object": "event",
        "created_at": int(time.time()),
        "type": "response.completed",
        "data": {"id": response_id},
    }


def test_a_webhook_brings_a_submitted_image_once(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    The image of the response that an event names is saved by whichever program gets the event,
    others stay pending, and a second delivery finds nothing to do.
    """
    provider = HoldingProvider()
    provider.hold()
    studio = make_studio(tmp_path, provider=provider, **LOW)
    wanted, other = studio.submit("a fox"), studio.submit("an owl")
    provider.finish()
    event = finished(wanted.response_id)
    report = make_studio(tmp_path, provider=provider).requests.handle_webhook(**delivery(event))
    (image,) = report.images
    assert image.turn.id == wanted.turn.id
    assert [request.turn.id for request in studio.requests.pending()] == [other.turn.id]
    assert not studio.requests.handle_webhook(**delivery(event)).images
    assert provider.posts == 2


def test_what_is_not_ours_changes_nothing(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Events of other programs' responses, and of other kinds, are taken and do nothing.
    """
    studio = make_studio(tmp_path)
    other = {**finished("evalrun_1"), "type": "eval.run.succeeded"}
    for event in (finished("resp_of_another"), other):
        report = studio.requests.handle_webhook(**delivery(event))
        assert (report.images, report.failed, report.still_pending) == ((), (), {})


@pytest.mark.parametrize(
    "wrong",
    [
        delivery(finished("resp_1"), secret="whsec_" + base64.b64encode(b"another" * 4).decode()),
        delivery(finished("resp_1"), age=3600),
        {**delivery(finished("resp_1")), "body": b'{"type": "response.completed"}'},
        {**delivery(finished("resp_1")), "headers": {}},
        {**delivery(finished("resp_1")), "secret": None},
    ],
    ids=["another secret", "an hour old", "another body", "no signature", "no secret"],
)
def test_unverified_deliveries_are_refused(
    make_studio: MakeStudio, tmp_path: Path, wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without a valid signature of the last minutes nothing is looked at, and the error holds neither
    secret nor body.
    """
    monkeypatch.delenv("OPENAI_WEBHOOK_SECRET", raising=False)
    with pytest.raises(AuthenticationError) as caught:
        make_studio(tmp_path).requests.handle_webhook(**wrong)
    assert "whsec_" not in str(caught.value)
    assert "resp_1" not in str(caught.value)


@pytest.mark.parametrize("event", [[], {"type": "response.completed"}, {"type": 1, "data": 2}])
def test_signed_nonsense_is_refused(make_studio: MakeStudio, tmp_path: Path, event: object) -> None:
    """
    A body that is signed and no event is refused by name.
    """
    with pytest.raises(InvalidRequestError, match="not an event"):
        make_studio(tmp_path).requests.handle_webhook(**delivery(event))

"""
Errors are told apart by what they mean, whatever their status, code and wording.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagesession._engine.http import HttpResponse
from imagesession._engine.outcomes import parse_response_object
from imagesession._engine.provider_errors import map_error_object, map_error_response
from imagesession.errors import (
    AuthenticationError,
    BadRequestError,
    ContentBlockedError,
    GenerationFailedError,
    ImageSessionError,
    InsufficientQuotaError,
    InvalidImageError,
    InvalidPromptError,
    ProviderError,
    RateLimitError,
)

AZURE = {
    "code": "content_filter",
    "message": "The response was filtered due to the prompt triggering our management policy.",
    "param": "prompt",
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {
            "violence": {"filtered": True, "severity": "medium"},
            "hate": {"filtered": False, "severity": "safe"},
        },
    },
}
REFUSED = "Your request was rejected by the safety system. safety_violations=[violence]."
VERIFY = "Your organization must be verified to use the model `gpt-image-2`. Please go to: /"


def http_error(status: int, error: object) -> HttpResponse:
    """
    Build a reply with an error status.
    """
    headers = {"x-request-id": "req_1"}
    return HttpResponse(status=status, headers=headers, body=json.dumps({"error": error}).encode())


@pytest.mark.parametrize(
    "status,error,kind",
    [
        (400, AZURE, ContentBlockedError),
        (400, {**AZURE, "code": "contentFilter"}, ContentBlockedError),
        (400, {"message": f"litellm.BadRequestError: {REFUSED}"}, ContentBlockedError),
        (500, {"message": REFUSED, "code": "500"}, ContentBlockedError),
        (
            400,
            {"code": "invalid_prompt", "message": "violates our usage policy"},
            ContentBlockedError,
        ),
        (400, {"message": VERIFY, "code": None}, AuthenticationError),
        (403, {"message": VERIFY, "code": None}, AuthenticationError),
        (402, {"message": "Insufficient credits", "code": 402}, InsufficientQuotaError),
        (429, {"code": "billing_not_active", "message": "x"}, InsufficientQuotaError),
        (400, {"code": None, "message": "Billing hard limit reached"}, InsufficientQuotaError),
        (429, {"message": "You exceeded your current quota."}, InsufficientQuotaError),
        (429, {"message": "You exceeded your current quota. Retry in 34s."}, RateLimitError),
        (429, {"message": "Nicht genügend Guthaben"}, InsufficientQuotaError),
        (
            429,
            {"message": "Limit: 0, Used 0", "code": "rate_limit_exceeded"},
            InsufficientQuotaError,
        ),
        (429, {"message": "Limit 5, Used 5: add credit to raise your limit"}, RateLimitError),
        (400, {"code": "invalid_image_file", "message": "Invalid"}, InvalidImageError),
        (400, {"code": "invalid_value", "param": "moderation", "message": "bad"}, BadRequestError),
        (400, {"code": "invalid_image_url", "message": "Invalid"}, InvalidImageError),
        (500, {"message": "oops"}, ProviderError),
        (500, {"message": "insufficient balance of replicas"}, ProviderError),
        (500, {"message": "slow down", "code": "429"}, ProviderError),
    ],
)
def test_meaning_of_an_http_error(status: int, error: object, kind: type[Exception]) -> None:
    """
    A refusal, money, access and an image that cannot be used are found whatever the status.
    """
    found = map_error_response(http_error(status, error))
    assert type(found) is kind
    assert isinstance(found, ImageSessionError)
    assert found.request_id == "req_1"
    assert found.message.count("\n") == 0


@pytest.mark.parametrize(
    "error,kind",
    [
        ({"code": "content_filter"}, ContentBlockedError),
        ({"code": "invalid_image", "message": "x"}, InvalidImageError),
        ({"code": "image_too_large", "message": "x"}, InvalidImageError),
        ({"code": "image_parse_error", "message": "x"}, InvalidImageError),
        ({"code": "invalid_prompt", "message": "too odd"}, InvalidPromptError),
        ({"code": 402, "message": "x"}, InsufficientQuotaError),
        ({"code": "rate_limit_exceeded", "message": "Try again in 12s"}, RateLimitError),
        ({"code": "server_error", "message": "x"}, GenerationFailedError),
    ],
)
def test_meaning_of_a_failed_response(error: dict[str, Any], kind: type[Exception]) -> None:
    """
    An error inside a reply with status 200 means the same; what the caller has to mend is never
    "try once more".
    """
    assert type(map_error_object(error)) is kind


def test_categories_of_azure_are_those_that_were_filtered() -> None:
    """
    A filter's result lists every category; the error has those that blocked, and what was blocked.
    """
    found = map_error_response(http_error(400, AZURE))
    assert isinstance(found, ContentBlockedError)
    assert (found.categories, found.stage) == (("violence",), "input")


def test_unknown_stage_of_moderation_is_not_told() -> None:
    """
    If the provider does not say what was blocked, the message says nothing of a stage.
    """
    found = map_error_object({"code": "moderation_blocked", "message": "No."})
    assert isinstance(found, ContentBlockedError)
    assert found.stage == "unknown"
    assert found.message.startswith("The provider's moderation blocked this: No.")


def test_reply_that_a_filter_stopped_is_blocked() -> None:
    """
    A reply that is incomplete because of a content filter is a refusal, with its categories.
    """
    marked = {"content_filter_results": {"sexual": {"filtered": True}}}
    outcome = parse_response_object(
        {
            "status": "incomplete",
            "incomplete_details": {"reason": "content_filter"},
            "content_filters": [marked],
            "output": [],
        }
    )
    assert isinstance(outcome.error, ContentBlockedError)
    assert outcome.error.categories == ("sexual",)


def test_message_ends_each_sentence() -> None:
    """
    After the provider's words comes a full stop, before our own advice.
    """
    found = map_error_response(http_error(429, {"message": "slow down", "code": "slow_down"}))
    assert str(found) == "Too many requests: slow down."
    page = HttpResponse(status=502, body=b"<html>\n<title>Bad\nGateway</title><h1>Bad</h1></html>")
    assert str(map_error_response(page)) == "The provider failed with HTTP 502: Bad Gateway."

"""
Verify the provider's webhooks, as the openai package does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import jiter
import openai

from imagesession._engine.webhooks import WebhookEvent
from imagesession.errors import AuthenticationError, InvalidRequestError


def read_event(body: str | bytes, headers: Mapping[str, str], secret: str | None) -> WebhookEvent:
    secret = secret or os.environ.get("OPENAI_WEBHOOK_SECRET")
    if not secret:
        raise AuthenticationError(
            "There is no webhook secret. Set OPENAI_WEBHOOK_SECRET, or pass secret=."
        )
    with openai.OpenAI(api_key="not used") as client:
        try:
            client.webhooks.verify_signature(body, headers, secret=secret)
        except (openai.InvalidWebhookSignatureError, ValueError) as error:
            raise AuthenticationError(
                f"The webhook is not accepted: {error}. Pass body and headers as they arrived, and "
                "the secret of this endpoint."
            ) from error
    return _parse(body.encode() if isinstance(body, str) else body)


def _parse(body: bytes) -> WebhookEvent:
    try:
        event = jiter.from_json(body)
        return WebhookEvent(type=str(event["type"]), subject=str(event["data"]["id"]))
    except (ValueError, LookupError, TypeError) as error:
        raise InvalidRequestError("The webhook's body is not an event of the provider.") from error

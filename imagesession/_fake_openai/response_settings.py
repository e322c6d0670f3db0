"""
Read the settings of a request for a response that say how it is served.
"""

from typing import get_args

from imagesession._domain.model_catalog import ModelInfo
from imagesession._domain.options import ReasoningEffort
from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.json_reader import JsonNode

_EFFORTS = get_args(ReasoningEffort)
_TIERS = ("auto", "default", "flex", "priority", "fast")
_WINDOWS = ("soonest", "2h", "8h")


def read_effort(node: JsonNode) -> str | None:
    reasoning = node.get("reasoning")
    effort = None if reasoning is None else reasoning.get("effort")
    return None if effort is None else effort.choice(_EFFORTS)


def read_tier(node: JsonNode, model: ModelInfo) -> str:
    """
    Read the service tier, which the model must have.
    """
    sent = node.get("service_tier")
    tier = "default" if sent is None else sent.choice(_TIERS)
    tier = {"auto": "default", "fast": "priority"}.get(tier, tier)
    if sent is not None and model.rate(tier) is None:
        raise RefusalError("no_such_tier", sent.path, tier=tier)
    return tier


def read_window(node: JsonNode, tier: str, *, background: bool) -> str:
    """
    Read the completion window.

    Source: openai 3.57, `types/responses/response_create_params.py` (`BackgroundOptions`)
    """
    options = node.get("background_options")
    if options is None:
        return "soonest"
    options.only(("completion_window", "continuation_id"))
    window = options.get("completion_window")
    if window is None or window.choice(_WINDOWS) == "soonest":
        return "soonest"
    if not background or node.get_flag("stream") or tier != "default":
        raise RefusalError("window_unfit", window.path)
    return window.text()


def read_compact_threshold(node: JsonNode) -> int | None:
    """
    Read the threshold of the only known entry of `context_management`.
    """
    for entry in node.get("context_management") or ():
        entry.only(("type", "compact_threshold"))
        entry.require("type").choice(("compaction",))
        threshold = entry.get("compact_threshold")
        return None if threshold is None else threshold.number(1, 10**9)
    return None

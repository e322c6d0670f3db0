"""
The table of what a provider's errors mean, whatever their HTTP status and in whose words: a
refusal, money, access, an image, or a wait.

Servers with OpenAI's protocol use codes and sentences of their own, and gateways quote those of
others. As of 2026-11-29: https://platform.openai.com/docs/guides/error-codes, the codes of
`ResponseError` in openai 3.57,
https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter, and
https://docs.litellm.ai/docs/exception_mapping
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from imagesession._domain.wording import to_sentence
from imagesession.errors import (
    AuthenticationError,
    ContentBlockedError,
    ImageSessionError,
    InsufficientQuotaError,
    InvalidImageError,
    InvalidPromptError,
    RateLimitError,
)

from .coerce import Json, as_list, as_mapping, as_text
from .http import HttpResponse
from .retry_after import advise_wait, read_retry_after, wait_in_words

_NO_REPLY = HttpResponse(status=200)
_SERVER_ERROR = 500
# invalid_image, invalid_image_format, image_too_large and so on. An image that was not found is a
# file that has expired, and not the caller's to mend.
_IMAGE_PREFIXES = (
    "invalidimage",
    "invalidmask",
    "invalidbase64image",
    "imagetoo",
    "imageparse",
    "imagefiletoo",
    "unsupportedimage",
    "emptyimage",
)
_SYMBOLS = re.compile(r"[^a-z0-9]")
_LIMIT_IS_ZERO = re.compile(r"\blimit(?:\s+(?:is|of))?\s*[:=]?\s*0(?![.,]?\d)", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class _Reported:
    """
    A reported error.

    Attributes:
        reply: The reply that it came in; an empty one if it came inside a successful reply.
    """

    error: Json
    reply: HttpResponse

    @property
    def message(self) -> str:
        return as_text(self.error.get("message"))

    @property
    def codes(self) -> frozenset[str]:
        """
        The codes and types, in lower case and without symbols, as servers spell them differently.
        """
        named = (holder.get(key) for holder in self.holders() for key in ("code", "type"))
        return frozenset(_plain(str(name)) for name in named if isinstance(name, (str, int)))

    def holders(self) -> Iterator[Json]:
        yield self.error
        for name in ("innererror", "inner_error", "moderation_details"):
            yield as_mapping(self.error.get(name))
        yield from map(as_mapping, as_list(self.error.get("content_filters")))


@attrs.frozen(kw_only=True)
class _Meaning:
    """
    A row of the table.

    Attributes:
        words: What the message says, if no code or status tells.
        applies: Whether it can be meant at all; it decides alone if nothing else is given.
    """

    error: Callable[[_Reported], ImageSessionError]
    codes: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    words: re.Pattern[str] | None = None
    applies: Callable[[_Reported], bool] = lambda _: True

    def fits(self, reported: _Reported) -> bool:
        if not self.applies(reported):
            return False
        named = reported.reply.status in self.statuses or bool(self.codes & reported.codes)
        if self.words is None:
            return named or not (self.codes or self.statuses)
        return named or self.words.search(reported.message) is not None


def find_meaning(error: Json, reply: HttpResponse = _NO_REPLY) -> ImageSessionError | None:
    """
    Return the library's error for a reported one; None if its HTTP status has to tell.
    """
    reported = _Reported(error=error, reply=reply)
    return next((row.error(reported) for row in _MEANINGS if row.fits(reported)), None)


def _plain(code: str) -> str:
    return _SYMBOLS.sub("", code.lower())


def _codes(text: str) -> frozenset[str]:
    return frozenset(map(_plain, text.split()))


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# --- the errors -------------------------------------------------------------------------------


def _content_blocked(reported: _Reported) -> ContentBlockedError:
    categories = _categories(reported)
    details = as_mapping(reported.error.get("moderation_details"))
    about_prompt = as_text(reported.error.get("param")).endswith("prompt")
    stage = as_text(details.get("moderation_stage")) or ("input" if about_prompt else "unknown")
    about = f" ({', '.join(categories)})" if categories else ""
    where = "" if stage == "unknown" else f" at its {stage} stage"
    return ContentBlockedError(
        f"The provider's moderation blocked this{where}{about}: "
        f"{to_sentence(reported.message)} Rephrase the prompt; the same words fail again.",
        reported.message,
        stage,
        categories,
    )


def _categories(reported: _Reported) -> tuple[str, ...]:
    listed = [
        category
        for holder in reported.holders()
        for category in map(as_text, as_list(holder.get("categories")))
    ]
    marked = [
        name
        for holder in reported.holders()
        for results in ("content_filter_result", "content_filter_results")
        for name, result in as_mapping(holder.get(results)).items()
        if as_mapping(result).get("filtered")
    ]
    named = re.search(r"safety_violations=\[([^\]]*)\]", reported.message)
    in_words = named[1].replace(",", " ").split() if named else []
    return tuple(dict.fromkeys(filter(None, listed or marked or in_words)))


def _quoting(
    kind: Callable[[str], ImageSessionError], text: str
) -> Callable[[_Reported], ImageSessionError]:
    """
    Return what makes an error of this kind, with the provider's own sentence in its text.
    """
    return lambda reported: kind(text.format(to_sentence(reported.message)))


def _rate_limited(reported: _Reported) -> RateLimitError:
    after = read_retry_after(reported.reply, reported.message)
    return RateLimitError(
        f"Too many requests: {to_sentence(reported.message)}{advise_wait(after, reported.message)}",
        after,
    )


def _is_rejected(reported: _Reported) -> bool:
    """
    Return whether no work was done: a server that failed may have done some.
    """
    return reported.reply.status < _SERVER_ERROR


def _states_no_wait(reported: _Reported) -> bool:
    """
    Return whether a message about money is one: with a wait in it, it is a limit per time.
    """
    return _is_rejected(reported) and wait_in_words(reported.message) is None


def _names_an_image(reported: _Reported) -> bool:
    return any(code.startswith(_IMAGE_PREFIXES) for code in reported.codes)


def _has_limit_of_zero(reported: _Reported) -> bool:
    limits = (
        value.strip()
        for name, value in reported.reply.headers.items()
        if name.startswith("x-ratelimit-limit-")
    )
    is_zero = "0" in limits or _LIMIT_IS_ZERO.search(reported.message) is not None
    return is_zero and _is_rejected(reported)


# --- the table --------------------------------------------------------------------------------

_TOO_MANY: Final = frozenset({429})
_RATE_CODES: Final = _codes("rate_limit_exceeded rate_limit_error slow_down too_many_requests 429")
_QUOTA_EXCEEDED: Final = _quoting(
    InsufficientQuotaError,
    "The account's credit or spending limit is used up: {} Add credit or raise the limit.",
)
_MEANINGS: Final[tuple[_Meaning, ...]] = (
    _Meaning(
        error=_content_blocked,
        codes=_codes(
            "moderation_blocked image_content_policy_violation content_policy_violation "
            "content_filter content_filtered content_filter_error ResponsibleAIPolicyViolation "
            "ContentPolicyViolationError bio_policy misalignment_policy_violation"
        ),
        words=_words(
            r"\bsafety (system|polic|filter|guideline)",
            r"\bcontent[ _]?(management )?polic(y|ies)\b",
            r"\busage polic(y|ies)\b",
            r"\bResponsibleAIPolicyViolation\b|\bmoderation_blocked\b|\bcontent_?filter(ed|ing)?\b",
        ),
    ),
    _Meaning(
        error=_QUOTA_EXCEEDED,
        codes=_codes(
            "insufficient_quota billing_hard_limit_reached billing_not_active "
            "credit_balance_exhausted organization_spend_limit_exceeded "
            "organization_usage_limit_exceeded project_spend_limit_exceeded "
            "insufficient_balance insufficient_credits insufficient_user_quota payment_required "
            "quota_exceeded 402"
        ),
        statuses=frozenset({402}),
        words=_words(
            r"\b(insufficient_quota|billing_not_active|billing_hard_limit_reached)\b"
            r"|\bcredit_balance_exhausted\b|\b\w+_(spend|usage)_limit_exceeded\b"
        ),
    ),
    _Meaning(
        error=_quoting(
            InsufficientQuotaError,
            "The account's limit for this model is 0, so waiting does not help: {} Raise the "
            "account's tier, or use another model.",
        ),
        codes=_RATE_CODES,
        statuses=_TOO_MANY,
        applies=_has_limit_of_zero,
    ),
    _Meaning(
        error=_QUOTA_EXCEEDED,
        applies=_states_no_wait,
        words=_words(
            r"\bbilling hard limit\b|\bbilling[ _](is )?not[ _]active\b|\bpayment required\b",
            r"\bexceeded your (current )?quota\b|\b(spend(ing)?|usage|budget) limit\b",
            r"\b(insufficient|not enough|no|low|out of|exceeded|negative)\b.{0,20}"
            r"\b(credits?|balance|funds)\b",
            r"\b(credits?|balance|funds)\b.{0,20}\b(exhausted|used up|depleted|too low|insuffici)",
            r"\b(saldo|crédito?s?|fondos|crediti|guthaben|solde|fonds)\b.{0,30}"
            r"\b(insufici|insuffi|agotad|esgotad|épuisé|aufgebraucht|esaurit|nicht aus|nicht gen)",
            r"\bnicht gen(ü|ue)gend guthaben\b|недостаточно (средств|кредит)|исчерпан",
            r"(余额|額度|额度|配额|餘額|点数|积分)[^0-9]{0,4}(不足|耗尽|用尽|用完)|欠费|残高.{0,2}不足",
            r"クレジット.{0,4}(不足|使い切)|(잔액|크레딧).{0,4}부족",
        ),
    ),
    _Meaning(
        error=_quoting(AuthenticationError, "This account lacks the permission: {}"),
        codes=_codes("organization_not_verified organization_must_be_verified"),
        words=_words(r"\b(must|needs? to|has to|is not|isn't|not been|not yet) (be )?verified\b"),
    ),
    _Meaning(
        error=_quoting(
            InvalidImageError,
            "The provider cannot use an input image: {} Send another file; the same one fails "
            "again.",
        ),
        applies=_names_an_image,
    ),
    _Meaning(
        error=_quoting(
            InvalidPromptError, "The provider does not take this prompt: {} Rephrase it."
        ),
        codes=_codes("invalid_prompt"),
    ),
    _Meaning(error=_rate_limited, codes=_RATE_CODES, statuses=_TOO_MANY, applies=_is_rejected),
)
"""
All meanings, the most certain first.
"""

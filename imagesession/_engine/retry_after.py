"""
Read how long a provider asks to wait: from the headers of a reply, or from its words.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping

from .http import HttpResponse, parse_date

_DAY = 86_400.0
# A unit ends before anything but a letter, as in "1m30s". Words are matched by their stems.
_UNITS = (
    (0.001, r"ms|msecs?|milli\w+|毫秒|ミリ秒|밀리초|мс"),
    (1.0, r"s|secs?|se[ck]\w*|segund\w*|秒[钟鐘]?|초|сек\w*|с"),  # noqa: RUF001 - Cyrillic
    (60.0, r"m|mins?|minut\w*|分[钟鐘]?|분|мин\w*"),
    (3600.0, r"h|hrs?|hours?|stunden?|heures?|horas?|小时|小時|時間|시간|час\w*"),
    (_DAY, r"d|days?|tage?n?|jours?|días?|dias?|天|日|일|дн\w+|день"),
)
_NUMBER = r"\d+(?:[.,]\d+)?"
_PART = rf"{_NUMBER}\s*(?:{'|'.join(unit for _, unit in _UNITS)})(?![^\W\d_])"
# Chinese, Japanese and Korean have no blanks, so a word may follow a unit at once.
_CJK_PART = rf"{_NUMBER}\s*(?:毫秒|ミリ秒|밀리초|秒[钟鐘]?|초|分[钟鐘]?|분|小时|小時|時間|시간)"
_ANY_PART = rf"(?:{_CJK_PART}|{_PART})"
_DURATION = re.compile(
    rf"(?<![A-Za-z0-9_.,-]){_ANY_PART}(?:[\s,]*(?:and\s+)?{_ANY_PART})*", re.IGNORECASE
)
_EACH = re.compile(rf"({_NUMBER})\s*(\D+)")
_WAIT = re.compile(
    r"\b(again|retry|retrying|wait|reset|resets|available|erneut|warten|réessaye\w*|attend\w*"
    r"|nuevo|espere|novamente|aguarde|riprova\w*|attendere|через|подожд\w+)\b\D{0,30}$",
    re.IGNORECASE,
)
# A limit per time is no wait, nor is the time over which requests were counted.
_RATE = re.compile(
    r"(\b(per|every|each|pro|par|por|al|last|past|within|window of)|/|每)\s*$", re.IGNORECASE
)
_RESET, _REMAINING = "x-ratelimit-reset-", "x-ratelimit-remaining-"


def read_retry_after(reply: HttpResponse, message: str = "") -> float | None:
    """
    Return the seconds that a provider asks to wait; None if it does not.

    Args:
        reply: The reply; of its headers `retry-after-ms`, `retry-after` (seconds or a date) and
            `x-ratelimit-reset-*` count.
        message: The error's message, which counts before `x-ratelimit-reset-*`.

    Source: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after and
    https://developers.openai.com/api/docs/guides/rate-limits (headers)
    """
    headers = reply.headers
    milliseconds = _number(headers.get("retry-after-ms", ""))
    hints = (
        None if milliseconds is None else milliseconds / 1000,
        _number(headers.get("retry-after", "")),
        _until(parse_date(headers.get("retry-after", "")), reply.date),
        wait_in_words(message),
        _reset(headers),
    )
    return next((seconds for seconds in hints if seconds is not None), None)


def advise_wait(seconds: float | None, message: str) -> str:
    if seconds is None or wait_in_words(message) == seconds:
        return ""
    return f" Wait {seconds:g} seconds."


def wait_in_words(message: str) -> float | None:
    """
    Return the seconds to wait that a sentence states, as in "Please try again in 1m30s"; None if it
    states none.
    """
    found = [
        (match, message[: match.start()])
        for match in _DURATION.finditer(message)
        if not _RATE.search(message[: match.start()])
    ]
    waits = [match for match, before in found if _WAIT.search(before)]
    stated = next(iter(waits or [match for match, _ in found]), None)
    return None if stated is None else _seconds(stated[0])


def _seconds(duration: str) -> float:
    return sum(
        float(number.replace(",", ".")) * _unit(unit.strip(" \t,").lower())
        for number, unit in _EACH.findall(duration)
    )


def _unit(text: str) -> float:
    return next(seconds for seconds, pattern in _UNITS if re.match(rf"(?:{pattern})(?!\w)", text))


def _number(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


def _until(date: dt.datetime | None, now: dt.datetime | None) -> float | None:
    """
    Return the seconds from a reply's own date to another one; 0 if that has passed.
    """
    if date is None or now is None:
        return None
    return max(0.0, (date - now).total_seconds())


def _reset(headers: Mapping[str, str]) -> float | None:
    """
    Return when the last of the exhausted limits is reset.
    """
    resets = [
        wait_in_words(value if not value.isdigit() else f"{value}s")
        for name, value in headers.items()
        if name.startswith(_RESET)
        and headers.get(name.replace(_RESET, _REMAINING), "0").strip() == "0"
    ]
    return max((seconds for seconds in resets if seconds is not None), default=None)

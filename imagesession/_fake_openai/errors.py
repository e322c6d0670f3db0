"""
The API's errors, as `errors.toml` lists them.
"""

import tomllib
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib import resources
from typing import Any, Final

from imagesession._fake_openai.http import FakeResponse, Json, dump

USER_ERROR = "image_generation_user_error"
_TABLE: Final[Mapping[str, Mapping[str, Any]]] = tomllib.loads(
    (resources.files("imagesession._fake_openai") / "errors.toml").read_text("utf-8")
)


class RefusalError(Exception):
    """
    Stop handling a request and answer it with an error of the table.
    """

    def __init__(
        self,
        name: str,
        param: str | None = None,
        /,
        *,
        type: str | None = None,
        code: str | None = None,
        **facts: object,
    ) -> None:
        """
        Fill in an error by its name in the table; what is given here replaces the table's, and the
        facts are those that its message names.
        """
        row = _TABLE[name]
        param = row.get("param") if param is None else param
        message = row["message"].format_map({"param": param or "", **facts})
        super().__init__(message)
        self.status: int = row.get("status", HTTPStatus.BAD_REQUEST)
        self.error: Json = {
            "message": message,
            "type": type or row.get("type", "invalid_request_error"),
            "param": param,
            "code": code or row.get("code"),
        }

    def answer(self, headers: Mapping[str, str] | None = None) -> FakeResponse:
        return error_answer(self.status, self.error, headers)


def error_answer(
    status: int, error: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> FakeResponse:
    body: Json = {"error": dict(error)}
    kind = "application/json"
    if error.get("code") == "invalid_api_key":
        # The Responses endpoint sends this error as text, and repeats the status in it.
        kind, body["status"] = "text/plain; charset=utf-8", status
    return FakeResponse(
        status=status, headers={"content-type": kind, **(headers or {})}, parts=iter((dump(body),))
    )


def blocked(stage: str, categories: Iterable[str], reference: str) -> RefusalError:
    """
    Return the error for an input or output that moderation blocked; its message asks for the
    reference to be quoted.
    """
    listed = list(categories)
    error = RefusalError("moderation_blocked", categories=", ".join(listed), reference=reference)
    error.error["moderation_details"] = {"moderation_stage": stage, "categories": listed}
    return error

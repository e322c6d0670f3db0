"""
The API's errors, with the messages that have been seen.

Shapes and codes: https://platform.openai.com/docs/guides/error-codes and the API reference.
If no body has been published, the message is ours and the code the API's.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from imagesession._fake_openai.http import FakeResponse, Json, dump

USER_ERROR = "image_generation_user_error"


class RefusalError(Exception):
    """
    Stop handling a request and answer it with an error.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = int(status)
        self.error: Json = {
            "message": message,
            "type": type,
            "param": param,
            "code": code,
            **(more or {}),
        }

    def answer(self) -> FakeResponse:
        """
        Return the error response.
        """
        return error_answer(self.status, self.error)


def error_answer(
    status: int, error: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> FakeResponse:
    """
    Return an error response, with the error object wrapped as in the API.
    """
    body: Json = {"error": dict(error)}
    kind = "application/json"
    if error.get("code") == "invalid_api_key":
        # The Responses endpoint sends this error as text, and repeats the status in it.
        kind, body["status"] = "text/plain; charset=utf-8", status
    return FakeResponse(
        status=status, headers={"content-type": kind, **(headers or {})}, parts=iter((dump(body),))
    )


def no_key() -> RefusalError:
    """
    The request has no API key.
    """
    return RefusalError(
        "You didn't provide an API key. You need to provide your API key in an Authorization "
        "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API "
        "key from https://platform.openai.com/account/api-keys.",
        status=HTTPStatus.UNAUTHORIZED,
    )


def wrong_key(key: str) -> RefusalError:
    """
    The API key is wrong; it is masked as the API masks it.
    """
    return RefusalError(
        f"Incorrect API key provided: {_mask_key(key)}. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        status=HTTPStatus.UNAUTHORIZED,
        code="invalid_api_key",
    )


def _mask_key(key: str) -> str:
    hidden = len(key) - 8 - 4
    return "*" * len(key) if hidden <= 0 else f"{key[:8]}{'*' * hidden}{key[-4:]}"


def no_such_url(method: str, path: str) -> RefusalError:
    """
    There is no such endpoint.
    """
    return RefusalError(f"Invalid URL ({method} /v1{path})", status=HTTPStatus.NOT_FOUND)


def unknown_parameter(param: str) -> RefusalError:
    """
    A parameter is unknown.
    """
    return RefusalError(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def missing_parameter(param: str) -> RefusalError:
    """
    A required parameter is missing.
    """
    return RefusalError(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def invalid_value(
    message: str, param: str | None, *, type: str = "invalid_request_error"
) -> RefusalError:
    """
    A value is not allowed.
    """
    return RefusalError(message, type=type, param=param, code="invalid_value")


def unsupported_value(value: object, allowed: Iterable[str], param: str) -> RefusalError:
    """
    A value is none of the allowed ones, which the message lists.
    """
    names = [f"'{name}'" for name in allowed]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])}, and {names[-1]}"
    return invalid_value(f"Invalid value: '{value}'. Supported values are: {listed}.", param)


def too_long(param: str, limit: int, length: int) -> RefusalError:
    """
    A string is too long.
    """
    return RefusalError(
        f"Invalid '{param}': string too long. Expected a string with maximum length {limit}, but "
        f"got a string with length {length} instead.",
        param=param,
        code="string_above_max_length",
    )


def no_such_model(model: str) -> RefusalError:
    """
    The mainline model does not exist, or was shut down.
    """
    return RefusalError(
        f"The requested model '{model}' does not exist.", param="model", code="model_not_found"
    )


def no_such_response(response_id: str) -> RefusalError:
    """
    The requested response does not exist.
    """
    return RefusalError(f"Response with id '{response_id}' not found.", status=HTTPStatus.NOT_FOUND)


def no_previous_response(response_id: str) -> RefusalError:
    """
    The response to continue does not exist.
    """
    return RefusalError(
        f"Previous response with id '{response_id}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


def no_such_item(item_id: str, *, unstored: bool = False) -> RefusalError:
    """
    An item given by its id alone does not exist.

    Args:
        item_id: The id.
        unstored: Whether it belongs to a response with `store: false`.

    """
    why = (
        " Items are not persisted when `store` is set to false. Try again with `store` set to "
        "true, or remove this item from your input."
    )
    return RefusalError(
        f"Item with id '{item_id}' not found.{why if unstored else ''}",
        status=HTTPStatus.NOT_FOUND,
        param="input",
    )


def without_reasoning(item_id: str, type: str, reasoning_id: str) -> RefusalError:
    """
    An item was sent without the reasoning item that led to it.
    """
    return RefusalError(
        f"Item '{item_id}' of type '{type}' was provided without its required 'reasoning' item: "
        f"'{reasoning_id}'.",
        param="input",
    )


def without_following(reasoning_id: str) -> RefusalError:
    """
    A reasoning item was sent without the item that it led to.
    """
    return RefusalError(
        f"Item '{reasoning_id}' of type 'reasoning' was provided without its required following "
        "item.",
        param="input",
    )


def context_exceeded() -> RefusalError:
    """
    A request and its context exceed the model's context window.
    """
    return RefusalError(
        "Your input exceeds the context window of this model. Please adjust your input and try "
        "again.",
        param="input",
        code="context_length_exceeded",
    )


def no_such_file(file_id: str, param: str = "id") -> RefusalError:
    """
    A file does not exist.
    """
    return RefusalError(f"No such File object: {file_id}", status=HTTPStatus.NOT_FOUND, param=param)


def unreadable_image(number: int, param: str) -> RefusalError:
    """
    An image cannot be read.
    """
    return RefusalError(
        f"Invalid image file or mode for image {number}, please check your image file.",
        type=USER_ERROR,
        param=param,
        code="invalid_image_file",
    )


def blocked(stage: str, categories: Iterable[str], reference: str) -> Json:
    """
    Return the error object of a request that moderation blocked.

    Args:
        stage: What was blocked: `input`, `output` or `unknown`.
        categories: The reasons.
        reference: The request id that the message asks to be quoted.

    """
    listed = list(categories)
    return {
        "message": "Your request was rejected by the safety system. If you believe this is an "
        "error, contact us at help.openai.com and include the request ID "
        f"{reference}. safety_violations=[{', '.join(listed)}].",
        "type": USER_ERROR,
        "param": None,
        "code": "moderation_blocked",
        "moderation_details": {"moderation_stage": stage, "categories": listed},
    }

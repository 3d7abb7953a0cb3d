"""Errors in vLLM's words (as version 0.32 says them)."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": param, "code": status}}


def unknown_model(model: object, served: tuple[str, ...]) -> Refused:
    """A model that is not served."""
    message = f"The model `{model}` does not exist. Valid aliases: {', '.join(served)}."
    return Refused(404, message, "NotFoundError", "model")


def prompt_too_long(limit: int, tokens: int) -> Refused:
    """A prompt that leaves no room for a reply."""
    message = (
        f"This model's maximum context length is {limit} tokens. However, your prompt contains at least {tokens} input"
        " tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input"
        f" prompt. (parameter=input_tokens, value={tokens})"
    )
    return Refused(400, message, param="input_tokens")


def too_many_wanted(limit: int, wanted: int) -> Refused:
    """More output than the context has."""
    message = (
        f"max_tokens={wanted} cannot be greater than max_model_len={limit}. Please request fewer output tokens."
        f" (parameter=max_tokens, value={wanted})"
    )
    return Refused(400, message, param="max_tokens")


def no_priorities(priority: int) -> Refused:
    """A priority where requests are served in order of arrival."""
    return Refused(400, f"Got priority {priority} but Priority scheduling is not enabled.")


def no_guided_json() -> Refused:
    """A schema where replies cannot be held to one."""
    return Refused(400, "response_format of type json_schema is not supported by this server.", param="response_format")


def unauthorized() -> Refused:
    """A key that is not known; vLLM's body is {"error": "Unauthorized"}."""
    refused = Refused(401, "Unauthorized")
    refused.body = {"error": "Unauthorized"}
    return refused

"""Errors in vLLM's words (as version 0.32 says them), and some in Text Embeddings Inference's."""

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


def text_too_long(limit: int, tokens: int, says: str) -> Refused:
    """A text to embed that is longer than the model's window."""
    if says == "TEI":
        return _tei(f"Input validation error: `inputs` must have less than {limit} tokens. Given: {tokens}")
    message = (
        f"You passed {tokens} input tokens and requested 0 output tokens. However, the model's context length is only"
        f" {limit} tokens, resulting in a maximum input length of {limit} tokens. Please reduce the length of the input"
        f" prompt. (parameter=input_tokens, value={tokens})"
    )
    return Refused(400, message, param="input_tokens")


def too_many_texts(limit: int, texts: int) -> Refused:
    """More texts than TEI takes in a request."""
    return _tei(f"batch size {texts} > maximum allowed batch size {limit}")


def _tei(message: str) -> Refused:
    refused = Refused(413, message)
    refused.body = {"message": message, "code": 413, "type": "Validation"}
    return refused


def no_priorities(priority: int) -> Refused:
    """A priority where requests are served in order of arrival."""
    return Refused(400, f"Got priority {priority} but Priority scheduling is not enabled.")


def no_guided_json() -> Refused:
    """A schema where replies cannot be held to one."""
    return Refused(400, "response_format of type json_schema is not supported by this server.", param="response_format")


def no_tool_calling() -> Refused:
    """Functions where no parser of calls was chosen at the start."""
    return Refused(400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')


def unauthorized() -> Refused:
    """A key that is not known; vLLM's body is {"error": "Unauthorized"}."""
    refused = Refused(401, "Unauthorized")
    refused.body = {"error": "Unauthorized"}
    return refused

"""What is read of, and given out in, the shapes of OpenAI's API: https://platform.openai.com/docs/api-reference/chat."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from answering.http.bodies import ScopeBody

MODEL = "starsearch"


class Part(BaseModel):
    """A part of a message; only parts of type text are read."""

    type: str
    text: str | None = None


class Message(BaseModel):
    """One message of the conversation. What is not the user's is ignored."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """Its text, the parts that are none left out."""
        if isinstance(self.content, list):
            return "\n".join(part.text or "" for part in self.content if part.type == "text")
        return self.content or ""


class StreamOptions(BaseModel):
    """Of a stream. include_usage: a last chunk tells the tokens."""

    include_usage: bool | None = None


class CompletionBody(BaseModel):
    """What is read of a request for a completion; everything else that clients send is ignored."""

    model: str = Field(json_schema_extra={"enum": [MODEL]})
    messages: list[Message] = Field(min_length=1, description="the last one of the user is the question")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    scope: ScopeBody | None = Field(None, description="what may be searched, as in POST /v1/ask")


class Problem(BaseModel):
    """What is wrong. param: the field; code: a word for programs."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None
    code: str | None


class ProblemBody(BaseModel):
    """An error."""

    error: Problem


class Model(BaseModel):
    """A model. created: when the service started, in Unix time."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"]
    data: list[Model]


class UrlCitation(BaseModel):
    """Where a marker leads: content[start_index:end_index] is the marker."""

    start_index: int
    end_index: int
    url: str
    title: str


class Annotation(BaseModel):
    """A citation."""

    type: Literal["url_citation"]
    url_citation: UrlCitation


class AssistantMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"]
    content: str
    refusal: None
    annotations: list[Annotation]


class Choice(BaseModel):
    """The one answer that there is."""

    index: Literal[0]
    message: AssistantMessage
    logprobs: None
    finish_reason: Literal["stop"]


class Tokens(BaseModel):
    """What the LLM read and wrote, over all its calls; without one an estimate of the question and the content."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class HowMade(BaseModel):
    """What OpenAI's shape has no place for, as in POST /v1/ask."""

    answer_id: str
    mode: Literal["extractive", "llm", "degraded"]
    abstained: bool
    release: int
    coverage: dict[str, Any]


class CompletionReply(BaseModel):
    """A completion."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice] = Field(min_length=1, max_length=1)
    usage: Tokens
    starsearch: HowMade

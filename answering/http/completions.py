"""POST /v1/chat/completions and GET /v1/models: for OpenAI's clients, and chat UIs that speak to them.

Sources: https://platform.openai.com/docs/api-reference/chat and .../chat/streaming. Beyond them: `scope` in the request
narrows what is searched, as in POST /v1/ask; `starsearch` in the completion says how the answer was made.

The question is the last message of the user; what the user said before it is its history, as the questions of a thread
are. What a client sends as system, developer, assistant or tool is no instruction to anybody here and is ignored, as
are sampling options and tools: an assistant's message is whatever the client wrote there, so it is neither evidence nor
part of a prompt. Indices of annotations are those of Python's slices: content[start_index:end_index] is the marker.
Tokens are those that the LLM counted, over all its calls; without one they are estimated (`resources.tokens`) from the
question and the content.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from answering.agents.budget import Allowance
from answering.deltas import Delta
from answering.follow_up import TURNS
from answering.http import streams
from answering.http.bodies import ScopeBody
from answering.http.openai_shapes import (
    MODEL,
    CompletionBody,
    CompletionReply,
    Message,
    Model,
    ModelList,
    ProblemBody,
)
from answering.question import LIMIT
from resources.tokens import estimated_tokens

_MARKER = re.compile(r"\[(\d{1,3})\]")
_LINKS = re.compile(r"\](?=[(:])")
_TAGS = re.compile(r"<(?=[A-Za-z/!?])")
_DONE = b"data: [DONE]\n\n"


class Refused(Exception):
    """A request that OpenAI's API would not take either. param: the field; code: a word for programs."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code


class _OpenAIRoute(APIRoute):
    """A route that says which field of a request is wrong. All other errors `problems` tells in OpenAI's shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except Refused as refused:
                return _error(refused.status, str(refused), refused.param, refused.code)
            except RequestValidationError as invalid:
                first = invalid.errors()[0]
                param = ".".join(str(part) for part in first["loc"][1:]) or None
                return _error(400, f"The request does not fit: {param or 'body'}: {first['msg']}.", param)

        return answer


def completion_routes(prepare: streams.Prepare) -> APIRouter:
    """The routes, to be included in the service."""
    router = APIRouter(prefix="/v1", route_class=_OpenAIRoute, tags=["OpenAI-compatible"])
    model = {"id": MODEL, "object": "model", "created": int(time.time()), "owned_by": "starsearch"}
    errors: dict[int | str, dict[str, Any]] = {
        "4XX": {"model": ProblemBody, "description": "The request cannot be used."},
        "5XX": {"model": ProblemBody, "description": "There is nothing to answer from at the moment."},
    }

    @router.get("/models", summary="The one model that there is.", response_model=ModelList)
    def models() -> dict[str, Any]:
        return {"object": "list", "data": [model]}

    @router.get("/models/{name}", summary="A model.", response_model=Model, responses=errors)
    def model_named(name: str) -> dict[str, Any]:
        _check_model(name)
        return model

    @router.post(
        "/chat/completions",
        summary="An answer with citations, as OpenAI's API gives completions.",
        description="The last message of the user is the question, earlier ones of the user are its history; system,"
        " developer, assistant and tool messages are ignored. Citations come as annotations (`url_citation`) and as a"
        " list of sources at the end of the text.",
        response_model=None,
        responses=errors
        | {200: {"model": CompletionReply, "content": {streams.MEDIA_TYPE: {"schema": {"type": "string"}}}}},
    )
    async def completions(request: Request, body: CompletionBody) -> dict[str, Any] | Response:
        _check_model(body.model)
        question, scope = question_in(body.messages), (body.scope or ScopeBody()).as_scope()
        asked = await run_sync(prepare, request, question, scope, history_in(body.messages))
        completion = Completion(question, asked.allowance)
        if body.stream:
            include_usage = body.stream_options is not None and body.stream_options.include_usage is True
            return streams.stream(asked, encode=Chunks(completion, include_usage))
        answer = await streams.whole(request, asked)
        return Response(status_code=streams.CLIENT_LEFT) if answer is None else completion.whole(answer)

    return router


def question_in(messages: Sequence[Message]) -> str:
    """The user's last message.

    Raises:
        Refused: there is none, it is empty or too long, or has a part that is no text.
    """
    asked = next((one for one in reversed(messages) if one.role == "user"), None)
    parts = asked.content if asked is not None and isinstance(asked.content, list) else []
    if others := sorted({part.type for part in parts if part.type != "text" or part.text is None}):
        raise Refused(400, f"Only text is read, but a part of the question is {others[0]!r}.", "messages")
    content = "" if asked is None else asked.text
    if not content.strip():
        raise Refused(400, "Expected a question as the last message of the user, found none.", "messages")
    if len(content) > LIMIT:
        message = f"The question has {len(content):,} characters; at most {LIMIT:,} are read."
        raise Refused(400, message, "messages", "string_above_max_length")
    return content


def history_in(messages: Sequence[Message]) -> list[str]:
    """What the user said before the last message, oldest first; without what is too long to have been a question. The
    newest of it is looked at, within the same limits as of a thread."""
    asked = [one.text for one in messages if one.role == "user"]
    return [text for text in asked[:-1] if text.strip() and len(text) <= LIMIT][-TURNS:]


def inert(text: str) -> str:
    """`text` without what a chat UI would show as a link, an image or HTML: titles are written by strangers, and
    showing an image tells its server who reads it."""
    return _TAGS.sub("‹", _LINKS.sub("] ", text))


@dataclass(frozen=True)
class Completion:
    """One completion of one question. allowance: knows what the LLM counted. created: Unix time."""

    question: str
    allowance: Allowance = field(default_factory=Allowance)
    completion_id: str = field(default_factory=lambda: f"chatcmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def head(self, kind: str) -> dict[str, Any]:
        """What a completion and each of its chunks begin with."""
        return {"id": self.completion_id, "object": kind, "created": self.created, "model": MODEL}

    def whole(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The completion. answer: as `Answer.as_json` gives it."""
        text = inert(answer["answer"])
        content = text + sources(answer)
        message = {"role": "assistant", "content": content, "refusal": None, "annotations": url_citations(text, answer)}
        return {
            **self.head("chat.completion"),
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": self.usage(content),
            "starsearch": how_made(answer),
        }

    def usage(self, content: str) -> dict[str, int]:
        """Tokens that the LLM read and wrote; where it was not asked, an estimate of question and content."""
        used = self.allowance.usage
        asked, told = used.tokens_in, used.tokens_out
        if not asked and not told:
            asked, told = estimated_tokens(self.question), estimated_tokens(content)
        return {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}


@dataclass
class Chunks:
    """Writes the deltas of an answer in the making as the chunks of its completion."""

    completion: Completion
    include_usage: bool
    text: str = ""
    begun: bool = False

    def __call__(self, delta: Delta) -> Iterator[bytes]:
        """The events for one delta."""
        if delta.event == "error":
            yield _data({"error": _problem(delta.data["message"], "server_error")})
            return
        if not self.begun:
            self.begun = True
            yield self._chunk({"role": "assistant", "content": ""})
        if delta.event == "delta":
            piece = inert(delta.data["text"])
            self.text += piece
            yield self._chunk({"content": piece})
        elif delta.event == "done":
            footer = sources(delta.data)
            if footer:
                yield self._chunk({"content": footer, "annotations": url_citations(self.text, delta.data)})
            yield self._chunk({}, "stop", starsearch=how_made(delta.data))
            if self.include_usage:
                usage = self.completion.usage(self.text + footer)
                yield _data({**self.completion.head("chat.completion.chunk"), "choices": [], "usage": usage})
            yield _DONE

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self.include_usage else {}
        return _data({**self.completion.head("chat.completion.chunk"), "choices": [choice], **usage, **more})


def sources(answer: Mapping[str, Any]) -> str:
    """The citations as the end of a text, for those who see no annotations; empty without any."""
    lines = [f"- [{one['n']}] {inert(' '.join(one['title'].split()))} — {one['url']}" for one in answer["citations"]]
    return "\n\nSources:\n" + "\n".join(lines) if lines else ""


def url_citations(text: str, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A `url_citation` for each marker in `text`."""
    cited = {f"{one['n']}": one for one in answer["citations"]}
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": marker.start(), "end_index": marker.end(),
                "url": cited[marker[1]]["url"], "title": cited[marker[1]]["title"],
            },
        }
        for marker in _MARKER.finditer(text)
        if marker[1] in cited
    ]  # fmt: skip


def how_made(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What OpenAI's shape has no place for."""
    return {name: answer[name] for name in ("answer_id", "mode", "abstained", "release", "coverage")}


def _check_model(name: str) -> None:
    if name != MODEL:
        message = f"There is no model {name[:100]!r}: the one model is {MODEL!r}."
        raise Refused(404, message, "model", "model_not_found")


def _error(status: int, message: str, param: str | None = None, code: str | None = None) -> JSONResponse:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse({"error": _problem(message, kind, param, code)}, status)


def _problem(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"message": message, "type": kind, "param": param, "code": code}


def _data(value: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(value, default=str)

"""What an OpenAI-compatible server can do: asked, not assumed."""

from __future__ import annotations

import json
from typing import Any

from resources.errors import LLMContextExceeded, LLMReplyInvalid, LLMUnavailable
from resources.llm_connections import Connections
from resources.llm_errors import Explainer
from resources.llm_session import BATCH_PRIORITY, Capabilities, Session, guided

_SCHEMA = {
    "type": "object",
    "properties": {"ready": {"type": "boolean"}},
    "required": ["ready"],
    "additionalProperties": False,
}
_WORD = "data "
"""One token in every tokenizer in use."""

KEPT = 0.9
"""A server that counts fewer than this share of a prompt's tokens has cut it."""


async def probe(session: Session, connections: Connections, model: str, explainer: Explainer) -> Capabilities:
    """At most four requests: the models, and a small chat with everything optional, then with less.

    Raises:
        LLMUnavailable: the server is away, or lacks the model: the message names those that it has.
    """
    models, context = await list_models(connections, model, explainer)
    if models and not {model, f"{model}:latest"} & set(models):  # Ollama lists llama3 as llama3:latest
        raise LLMUnavailable(
            f"{explainer.where} has no model {model!r}; it has {', '.join(models)}: set SUMMARY_MODEL or ANSWER_MODEL"
            " to one of them."
        )
    for priority, schema in ((True, True), (False, True), (False, False)):
        options: dict[str, Any] = {
            "messages": [{"role": "user", "content": "Reply with the one word: hello"}],
            "max_tokens": 20,
            "temperature": 0.0,
        }
        if priority:
            options["priority"] = BATCH_PRIORITY
        if schema:
            options["response_format"] = guided(_SCHEMA)
        try:
            reply = await session.send(options)
        except LLMReplyInvalid:  # refused (400), or no text: without what it may not know
            continue
        return Capabilities(models, context, schema and _fits(reply.text), priority)
    return Capabilities(models, context)


async def list_models(connections: Connections, model: str, explainer: Explainer) -> tuple[tuple[str, ...], int | None]:
    """The server's models, and the context length of `model` where it tells (vLLM does).

    Raises:
        LLMUnavailable: the server cannot be reached, refuses the key, or is none.
    """
    import openai

    try:
        async with connections.client() as client:
            told = (await client.with_options(timeout=10.0, max_retries=2).models.list()).data
        models = tuple(sorted(str(one.id) for one in told))
        context = next((getattr(one, "max_model_len", None) for one in told if one.id == model), None)
    except (openai.InternalServerError, openai.NotFoundError, openai.RateLimitError):
        return (), None  # some servers answer chats but cannot list their models
    except (openai.OpenAIError, ValueError) as error:
        raise explainer.explained(error) from explainer.showable(error)
    except (AttributeError, TypeError) as error:
        raise LLMUnavailable(
            f"{explainer.where} answers, but not as an OpenAI-compatible server: check LLM_BASE_URL (usually it ends"
            " in /v1)."
        ) from error
    return models, context if isinstance(context, int) else None


async def tokens_read(session: Session, tokens: int) -> int | None:
    """How many tokens of a prompt of `tokens` the server counts; fewer than KEPT of them: it cuts prompts silently.

    None where it does not count, or refuses so long a prompt, which is what it should do.
    """
    options = {"messages": [{"role": "user", "content": _WORD * tokens}], "max_tokens": 1, "temperature": 0.0}
    try:
        reply = await session.send(options)
    except LLMContextExceeded:
        return None
    except LLMReplyInvalid as error:  # no text, but it was read
        return error.usage.tokens_in or None if error.usage else None
    return reply.usage.tokens_in or None


def _fits(text: str) -> bool:
    try:
        told = json.loads(text)
    except ValueError:
        return False
    return isinstance(told, dict) and isinstance(told.get("ready"), bool)

"""What an LLM replies to the summary prompt: read leniently, judged strictly."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError, field_validator

from answering.change_types import CHANGE_TYPES
from resources.llm import Completion
from starsearch_assets.summaries.source import Summary
from starsearch_assets.summaries.technologies import sorted_out
from starsearch_assets.summaries.text import one_line

LONGEST = 2000
_NAMES = 12
_THOUGHT = re.compile(r"\A.*</think(?:ing)?>|<think(?:ing)?>.*\Z", re.DOTALL | re.IGNORECASE)
"""Up to the last end of a thought: chat templates may open one where the reply does not show it."""
_READ, _BRACES = 40_000, 40


def _whole(value: Any) -> Any:
    """Without halves of surrogate pairs, which JSON can hold and no text can."""
    return value.encode("utf-8", "ignore").decode() if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_whole)]
Name = Annotated[Text, Field(max_length=200)]


class Reply(BaseModel):
    """One summary as the model has to write it; see prompts/*/system.md."""

    model_config = ConfigDict(extra="ignore")

    summary: Annotated[Text, Field(min_length=1, max_length=LONGEST)]
    change_type: Text
    technologies: list[Name]
    components: list[Name]
    user_visible: StrictBool

    @field_validator("change_type")
    @classmethod
    def _is_one(cls, value: str) -> str:
        named = " ".join(value.lower().replace("_", " ").split()).replace("and ci", "and CI")
        if named not in CHANGE_TYPES:
            raise ValueError(f"is none of {', '.join(CHANGE_TYPES)}")
        return named


class ReplyUnusable(ValueError):
    """A reply that is no summary; the message tells the model what is wrong with it."""


def json_schema() -> dict[str, Any]:
    """The schema for guided decoding: of the keywords that vLLM and OpenAI's strict mode both take."""
    names = {"type": "array", "items": {"type": "string"}}
    properties = {
        "summary": {"type": "string"},
        "change_type": {"type": "string", "enum": list(CHANGE_TYPES)},
        "technologies": names,
        "components": names,
        "user_visible": {"type": "boolean"},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read_reply(completion: Completion) -> Summary:
    """The summary in a reply. Fences, thoughts and prose around the JSON are passed over.

    The model has read strangers' text and may repeat their markup: what it wrote becomes one line of plain text.

    Raises:
        ReplyUnusable: there is no JSON in it, or not what was asked for.
    """
    if completion.finish_reason == "length":
        raise ReplyUnusable("it was cut because it is too long.")
    try:
        reply = Reply.model_validate(_object(completion.text))
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
        raise ReplyUnusable(f"{told}.") from error
    text = one_line(reply.summary)
    if not text:
        raise ReplyUnusable("its summary is empty, or nothing but markup.")
    known, others = sorted_out(map(one_line, reply.technologies))
    components = tuple(dict.fromkeys(name for name in map(one_line, reply.components) if name))[:_NAMES]
    return Summary(
        text, reply.change_type, known[:_NAMES], others[:_NAMES], components, reply.user_visible, completion.usage
    )


def _object(text: str) -> Any:
    """The first JSON object in the text that has a summary, or the first one."""
    text = _THOUGHT.sub(" ", text[-_READ:])
    decoder = json.JSONDecoder(strict=False)
    found: list[Any] = []
    position = text.find("{")
    for _ in range(_BRACES):
        if position < 0:
            break
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            end = position + 1
        else:
            found.append(value)
        position = text.find("{", end)
    if not found:
        raise ReplyUnusable("there is no JSON object in it.")
    return next((value for value in found if isinstance(value, dict) and "summary" in value), found[0])

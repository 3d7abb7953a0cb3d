"""What the model says when it is not."""

from __future__ import annotations

import json
import re

from tests.doubles.llm_server.replies import json_reply
from tests.doubles.llm_server.request import Request


def wrong_reply(what: str, request: Request, honest: str) -> str:
    """The reply under a misbehaviour; `honest` where that is none of the model's."""
    if what == "markup only":
        return "<!-- nothing to see -->"
    if what == "repeats prompt":
        return _in_json(request, honest, request.user)
    if what == "invented link":
        return _in_json(
            request, honest, "See https://invented.example/pull/1 for what this change is about. It is done."
        )
    if what == "wrong schema":
        return json.dumps({"answer": {"text": ["This is no field that was asked for."]}, "confidence": "high"})
    if what in ("half a JSON", "fenced JSON", "prose around JSON"):
        written = honest if honest.startswith("{") else json_reply(request)
        if what == "half a JSON":
            return written[: len(written) // 2]
        fenced = f"```json\n{written}\n```"
        return (
            fenced if what == "fenced JSON" else f"Sure, here is the summary:\n\n{fenced}\n\nLet me know if it helps!"
        )
    if what == "length":
        return honest[: max(1, len(honest) // 2)]
    return honest


def _in_json(request: Request, honest: str, text: str) -> str:
    """`text` in the place of the summary where the reply is an object, alone otherwise."""
    if not honest.startswith("{"):
        return text
    value = json.loads(honest)
    name = next(
        (key for key, one in value.items() if isinstance(one, str) and re.search("summary|text", key)), "summary"
    )
    return json.dumps({**value, name: text}, ensure_ascii=False)

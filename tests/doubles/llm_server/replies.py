"""What the model says when it is well."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from tests.doubles.llm_server.guided import Writer
from tests.doubles.llm_server.request import Request


@dataclass(frozen=True)
class Calls:
    """What a model says that calls functions: names, and arguments as it writes them, which may be anything."""

    calls: tuple[tuple[str, str], ...]
    text: str = ""


def calls(*each: tuple[str, dict[str, Any]]) -> Calls:
    """Well-formed calls: a name and its arguments each."""
    return Calls(tuple((name, json.dumps(arguments)) for name, arguments in each))


SUMMARY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "change_type": {"enum": ["fix", "feature", "refactor", "docs", "test", "chore"]},
        "technologies": {"type": "array", "items": {"type": "string"}},
        "components": {"type": "array", "items": {"type": "string"}},
        "user_visible": {"type": "boolean"},
    },
    "required": ["summary", "change_type", "technologies", "components", "user_visible"],
}
"""What json_reply writes where the request has no schema of its own."""


def default_reply(request: Request) -> str:
    """JSON where the request has a schema, text otherwise."""
    return text_reply(request) if request.schema is None else json_reply(request)


def text_reply(request: Request) -> str:
    """Evidence sentences with their citations for an answering prompt, otherwise a summary of the user's text."""
    if evidence := re.search(r"<evidence>\n(.*)\n</evidence>", request.user, re.DOTALL):
        facts = [line.removeprefix("- ") for line in evidence.group(1).splitlines()]
        return " ".join(fact for fact in facts if re.search(r"\[\d+\]", fact))
    title = re.search(r"^Title: (.*)$", request.user, re.MULTILINE)
    digest = hashlib.sha256(request.user.encode("utf-8", "replace")).hexdigest()[:8]
    return f"Summary {digest} of {title.group(1) if title else request.user[:60]}."


def json_reply(request: Request) -> str:
    """An object that fits the request's schema, about the title and the text after it."""
    title, body = _title_and_body(request.user)
    return json.dumps(Writer(title, body).value(request.schema or SUMMARY_SCHEMA), ensure_ascii=False)


def _title_and_body(user: str) -> tuple[str, str]:
    if (title := re.search(r"^Title: (.*)$", user, re.MULTILINE)) is None:
        first, _, rest = user.partition("\n")
        return first[:200], rest or user
    body = user[title.end() :]
    return title.group(1), re.sub(
        r"^(?:END TEXT|BEGIN TEXT|Comment:|Labels:|Commits?:|[A-Z][a-z ]+:)", "", body, flags=re.MULTILINE
    )

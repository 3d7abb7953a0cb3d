"""A request as the server has read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CHAT, EMBEDDINGS, MODELS, TOKENIZE = "/v1/chat/completions", "/v1/embeddings", "/v1/models", "/tokenize"


@dataclass(frozen=True)
class Request:
    """One request; body is empty for GET."""

    path: str
    body: dict[str, Any]
    authorization: str | None

    @property
    def messages(self) -> list[tuple[str, str]]:
        """Role and text of each message of a chat."""
        return [(str(one.get("role")), str(one.get("content") or "")) for one in self.body.get("messages", [])]

    @property
    def user(self) -> str:
        """The user's message of a chat."""
        return next((text for role, text in self.messages if role == "user"), "")

    @property
    def client(self) -> str:
        """Who asks, told by the API key; "" without one."""
        return (self.authorization or "").removeprefix("Bearer ").strip()

    @property
    def max_tokens(self) -> int | None:
        """The most tokens that the reply may have; None: as many as there is room for."""
        wanted = self.body.get("max_completion_tokens") or self.body.get("max_tokens")
        return None if wanted is None else int(wanted)

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON schema that the reply is to fit; {} for any JSON, None where text is wanted."""
        wanted = self.body.get("response_format") or {}
        if wanted.get("type") == "json_schema":
            schema: dict[str, Any] = wanted["json_schema"].get("schema") or {}
            return schema
        if wanted.get("type") == "json_object":
            return {}
        structured: dict[str, Any] | None = (self.body.get("structured_outputs") or {}).get("json")
        return structured

"""Chat completions as vLLM 0.32 writes them, whole and as server-sent events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FINGERPRINT = "vllm-0.32.0-double"
PIECES = 16


@dataclass(frozen=True)
class Reply:
    """What the model said, and what it cost."""

    number: int
    model: str
    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str
    calls: tuple[tuple[str, str], ...] = ()

    @property
    def _called(self) -> list[dict[str, Any]]:
        return [
            {"id": f"chatcmpl-tool-{self.number:08x}{place:08x}", "type": "function",
             "function": {"name": name, "arguments": arguments}}
            for place, (name, arguments) in enumerate(self.calls)
        ]  # fmt: skip

    @property
    def _head(self) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self.number:016x}", "created": int(time.time()), "model": self.model}

    @property
    def _usage(self) -> dict[str, Any]:
        total = self.prompt_tokens + self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": total,
            "completion_tokens": self.completion_tokens,
        }

    def completion(self, what: str) -> dict[str, Any]:
        """The body of a chat that was not asked for as a stream."""
        message = {
            "role": "assistant",
            "content": self.text or (None if self.calls else ""),
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            "reasoning": None,
            **({"tool_calls": self._called} if self.calls else {}),
        }
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": self.finish_reason,
            "stop_reason": None,
            "token_ids": None,
            "routed_experts": None,
        }
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [] if what == "empty choices" else [choice],
            "service_tier": None,
            "system_fingerprint": FINGERPRINT,
            "usage": {**self._usage, "prompt_tokens_details": None, "completion_tokens_details": None},
            "prompt_logprobs": None,
            "prompt_token_ids": None,
            "prompt_text": None,
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "metrics": None,
        }

    def events(self, *, usage: bool) -> Iterator[bytes]:
        """A stream: the role, at most PIECES pieces of text, the reason of its end, the usage where asked for."""
        head = {**self._head, "object": "chat.completion.chunk"}

        def event(delta: dict[str, Any], finish_reason: str | None = None, **more: None) -> dict[str, Any]:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason, **more}
            return {**head, "choices": [choice]}

        yield _event({**event({"role": "assistant", "content": ""}), "prompt_token_ids": None, "prompt_text": None})
        size = len(self.text) // PIECES + 1
        for start in range(0, len(self.text), size):
            yield _event(event({"content": self.text[start : start + size]}, token_ids=None))
        for place, call in enumerate(self._called):
            yield _event(event({"tool_calls": [{"index": place, **call}]}, token_ids=None))
        yield _event(event({"content": ""}, self.finish_reason, stop_reason=None, token_ids=None))
        if usage:
            yield _event({**head, "choices": [], "usage": self._usage, "system_fingerprint": FINGERPRINT})
        yield b"data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"

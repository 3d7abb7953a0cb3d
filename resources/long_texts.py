"""When a server's refusal says that a text is longer than its model's window, or that there are too many of them.

vLLM answers such a text with 400, Text Embeddings Inference with 413 (unless started with --auto-truncate), llama.cpp
with 400 or 500. The wordings are those of vLLM 0.4 to 0.32, of Text Embeddings Inference 0.6 to 1.8 and of llama.cpp.
"""

from __future__ import annotations

_STATUSES = frozenset((400, 413, 422, 500))
_WORDINGS = (
    "maximum context length",
    "context length is only",
    "context_length_exceeded",
    "exceed_context_size",
    "exceeds the available context",
    "maximum model length",
    "longer than the maximum",
    "too large to process",
    "must have less than",
)

CUTS = 6
"""How often a text is halved before it is given up: one of 20,000 characters ends at 300."""


def says_too_long(status: int, message: str) -> bool:
    """Whether a refusal is of this kind, and of no other: the text is to be cut rather than the request given up."""
    return status in _STATUSES and any(wording in message.lower() for wording in _WORDINGS)


def says_too_many(status: int, message: str) -> bool:
    """Whether a refusal says that a request has too many texts or bytes (Text Embeddings Inference takes 32, 2 MB)."""
    wordings = ("batch size", "length limit exceeded", "too many inputs", "request entity too large")
    return status in (400, 413, 422) and any(wording in message.lower() for wording in wordings)

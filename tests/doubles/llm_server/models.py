"""Answers to /v1/models in vLLM's shape."""

from __future__ import annotations

from typing import Any

CREATED = 1_767_225_600


def model_list(names: tuple[str, ...], max_model_len: int) -> dict[str, Any]:
    """The models that are served."""
    return {"object": "list", "data": [_model(name, max_model_len) for name in names]}


def _model(name: str, max_model_len: int) -> dict[str, Any]:
    permission = {
        "id": f"modelperm-{name}",
        "object": "model_permission",
        "created": CREATED,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    return {
        "id": name,
        "object": "model",
        "created": CREATED,
        "owned_by": "vllm",
        "root": name,
        "parent": None,
        "max_model_len": max_model_len,
        "permission": [permission],
    }

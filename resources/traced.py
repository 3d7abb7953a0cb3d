"""A sentence-transformers model as one graph of torch: the same numbers, without Python between the operations.

A question of a few words is some two hundred small operations. Called from Python each takes the interpreter's lock
anew, and as long as the arithmetic of many of them; a traced model runs them all without it.

What is left of the time is its weights on their way through the CPU. Kept in float16 they are half as many bytes, laid
out for FBGEMM's product, which computes in float32: 8 ms of a question in place of 17, and of long batches the same.

Importing this module does not import torch.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

Forward = Callable[[Mapping[str, Any]], "tuple[torch.Tensor, ...]"]
"""From what the model's `preprocess` made of texts to their vectors, shape (texts, dimensions), and where they were
asked for to those of their word pieces, shape (texts, pieces, dimensions)."""

_TRACED = ("the tokens of a search query", "a query")
_PROBES = (("probe",), ("a", "another, longer probe"), ("of a document " * 60, "and a title"), ("long " * 600,))
"""Texts of other numbers and lengths than those that are traced, alone and padded, beyond most windows."""

_TOLERANCE = 1e-3
"""Between parts of unit vectors: what rounding to bfloat16 makes of another order of operations stays below it."""


def one_graph(
    model: SentenceTransformer, prompt: str | None = None, *, half_weights: bool = False, pieces: bool = False
) -> Forward:
    """What computes the model's vectors: its graph where that gives the model's own vectors of the probes, else itself.

    A model that decides by its input (a branch that was not traced) gives others, and is called as it is. half_weights:
    keep its weights in float16 where the CPU has the products for that and the vectors stay the model's own. pieces:
    give the vectors of word pieces, too.
    """
    import torch

    outputs = ("sentence_embedding", "token_embeddings") if pieces else ("sentence_embedding",)

    def plain(features: Mapping[str, Any]) -> tuple[torch.Tensor, ...]:
        made = model(dict(features))
        return tuple(made[name] for name in outputs)

    for kept in (_in_float16, _as_they_are) if half_weights else (_as_they_are,):
        try:
            traced = _trace(kept(model), model.preprocess(list(_TRACED), prompt=prompt), outputs)
            with torch.inference_mode():
                for probe in _PROBES:
                    features = model.preprocess(list(probe), prompt=prompt)
                    made, expected = traced(features)[0], plain(features)[0]
                    torch.testing.assert_close(_unit(made), _unit(expected), rtol=0, atol=_TOLERANCE)
        except Exception as error:  # noqa: BLE001  (each architecture and each CPU has its own way to refuse)
            logger.info("no graph with weights %s: %s", kept.__name__.strip("_"), error, extra={"reason": str(error)})
        else:
            return traced
    logger.info("the model is called operation by operation")
    return plain


def _as_they_are(model: SentenceTransformer) -> SentenceTransformer:
    return model


def _in_float16(model: SentenceTransformer) -> SentenceTransformer:
    """The model with its linear layers' weights in float16, packed; everything else is shared with `model`.

    Raises:
        RuntimeError: torch has no such products on this CPU.
    """
    import torch

    class Packed(torch.nn.Module):
        """A linear layer: float32 in and out."""

        def __init__(self, layer: torch.nn.Linear) -> None:
            super().__init__()
            weight = layer.weight.clone()  # which is cut to what float16 can hold, in place
            self.weights = torch.ops.quantized.linear_prepack_fp16(weight, layer.bias)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return torch.ops.quantized.linear_dynamic_fp16(rows, self.weights)  # type: ignore[no-any-return]

    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    packed = copy.deepcopy(model, shared)
    for name, layer in list(packed.named_modules()):
        if type(layer) is torch.nn.Linear:
            packed.set_submodule(name, Packed(layer))
    return packed


def _trace(model: SentenceTransformer, example: Mapping[str, Any], outputs: Sequence[str]) -> Forward:
    import torch

    names = [name for name, value in example.items() if isinstance(value, torch.Tensor)]
    others = {name: value for name, value in example.items() if name not in names}

    class Whole(torch.nn.Module):
        """The model over positional tensors: a trace takes nothing else."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            made = self.model(dict(zip(names, tensors, strict=True)) | others)
            return tuple(made[name] for name in outputs)

    with _quiet(), torch.no_grad():
        tensors = tuple(example[name] for name in names)
        graph = torch.jit.freeze(torch.jit.trace(Whole().eval(), tensors, check_trace=False))  # type: ignore[no-untyped-call]

    def forward(features: Mapping[str, Any]) -> tuple[torch.Tensor, ...]:
        return graph(*(features[name] for name in names))  # type: ignore[no-any-return]

    return forward


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings of branches, which the probes look for, and of torch.compile as the newer way, which needs a C++
    compiler; and without what the libraries log about attributes of theirs that a trace reads."""
    levels = {one: one.level for one in map(logging.getLogger, ("transformers", "sentence_transformers"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in levels:
            one.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for one, level in levels.items():
                one.setLevel(level)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.normalize(vectors.float(), dim=1)

"""A model as one graph gives the model's own vectors, or is not used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from resources.embedder import SentenceTransformerEmbedder
from resources.traced import one_graph

Features = dict[str, Any]


class Words(torch.nn.Module):
    """A model over the lengths of words, which can be told to decide by its input."""

    def __init__(self, longest: int | None = None) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.arange(1.0, 5.0), requires_grad=False)
        self._longest = longest

    def preprocess(self, texts: Sequence[str], prompt: str | None = None) -> Features:
        lengths = [[float(len(word)) for word in f"{prompt or ''}{text}".split()] for text in texts]
        width = max(map(len, lengths))
        return {"words": torch.tensor([one + [0.0] * (width - len(one)) for one in lengths]), "modality": "text"}

    def forward(self, features: Features) -> Features:
        words = features["words"]
        if self._longest is not None and words.shape[1] > self._longest:
            words = -words
        made = torch.tanh(words).sum(dim=1, keepdim=True) * self.weights
        return {"sentence_embedding": made}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_graph_gives_the_models_own_vectors(dtype: str) -> None:
    """Texts of any number and length, alone and padded: equal to the model called operation by operation."""
    embedder = SentenceTransformerEmbedder(dtype=dtype)
    model = embedder._loaded
    batches = [["one"], ["", "a text"], ["word " * n for n in range(1, 40, 6)], ["long " * 400, "short"]]
    for texts in batches:
        with torch.inference_mode():
            expected = model(model.preprocess(texts))["sentence_embedding"].float().numpy()
        assert np.allclose(embedder._forward(texts).result(), expected, atol=1e-6)
    assert isinstance(_code(embedder._graph), torch.jit.ScriptModule)


def test_weights_in_float16_give_the_models_own_vectors() -> None:
    """What `auto` computes with, where the CPU multiplies no bfloat16 itself: off by less than rounding can tell."""
    exact, half = (SentenceTransformerEmbedder(dtype="float32")._loaded for _ in range(2))
    forward = one_graph(half, half_weights=True)
    assert _halves(forward) == ("fbgemm" in torch.backends.quantized.supported_engines)
    for texts in (["one"], ["", "a text"], ["word " * n for n in range(1, 40, 6)], ["long " * 400, "short"]):
        with torch.inference_mode():
            expected = exact(exact.preprocess(texts))["sentence_embedding"]
            assert torch.cosine_similarity(forward(half.preprocess(texts))[0], expected).min() > 0.9999
            assert torch.equal(half(half.preprocess(texts))["sentence_embedding"], expected), "the model was changed"


@pytest.mark.parametrize("native", [False, True])
def test_auto_takes_float16_where_the_cpu_multiplies_no_bfloat16(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    """And leaves a model in bfloat16 as it is."""
    for module in ("resources.embedder", "resources.torch_runtime"):
        monkeypatch.setattr(f"{module}.has_native_bfloat16", lambda: native)
    embedder = SentenceTransformerEmbedder()
    assert embedder._loaded.dtype == (torch.bfloat16 if native else torch.float32)
    assert _halves(embedder._graph) == (not native and "fbgemm" in torch.backends.quantized.supported_engines)


def test_weights_that_float16_cannot_hold_are_left_as_they_are() -> None:
    """The probes' vectors would be others: the graph is made of the model's own weights."""

    class Linear(Words):
        def __init__(self, largest: float) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 4, bias=False).requires_grad_(requires_grad=False)
            self.layer.weight.copy_(torch.diag(torch.tensor([largest, largest / 4, 1.0, 1.0])))

        def forward(self, features: Features) -> Features:
            return {"sentence_embedding": self.layer(super().forward(features)["sentence_embedding"])}

    for largest, halves in ((1e3, "fbgemm" in torch.backends.quantized.supported_engines), (1e6, False)):
        model = Linear(largest)
        features = model.preprocess(["some words"])
        forward = one_graph(cast("SentenceTransformer", model), half_weights=True)
        assert _halves(forward) == halves
        assert model.layer.weight.max() == largest
        assert torch.allclose(forward(features)[0], model(features)["sentence_embedding"])
        assert _code(forward) is not None


def test_a_model_without_branches_becomes_a_graph() -> None:
    """Its parts are run without Python: the module is not called again."""
    model = Words()
    forward = one_graph(cast("SentenceTransformer", model))
    expected = model(model.preprocess(["some words of a text"]))["sentence_embedding"]
    model.forward = None  # type: ignore[method-assign,assignment]
    assert torch.equal(forward(model.preprocess(["some words of a text"]))[0], expected)


def test_a_model_that_decides_by_its_input_is_called_as_it_is() -> None:
    """A branch that was not traced gives other vectors for a probe: no graph, and the right vectors."""
    model = Words(longest=30)
    forward = one_graph(cast("SentenceTransformer", model))
    for text in ("few words", "many " * 50):
        features = model.preprocess([text])
        assert torch.equal(forward(features)[0], model(features)["sentence_embedding"])
    assert _code(forward) is None


def test_a_model_that_cannot_be_traced_is_called_as_it_is() -> None:
    """Whatever tracing raises, the model works."""

    class Untraceable(Words):
        def forward(self, features: Features) -> Features:
            if torch.jit.is_tracing():
                raise RuntimeError("not this one")
            return super().forward(features)

    model = Untraceable()
    features = model.preprocess(["some words"])
    forward = one_graph(cast("SentenceTransformer", model))
    assert torch.equal(forward(features)[0], model(features)["sentence_embedding"])


def _halves(forward: Any) -> bool:
    """Whether the graph's products are of weights in float16."""
    return "linear_dynamic_fp16" in str(_code(forward).inlined_graph)


def _code(forward: Any) -> Any:
    """The graph behind a forward function, None where it is the model itself."""
    names = dict(zip(forward.__code__.co_freevars, forward.__closure__, strict=True))
    return names["graph"].cell_contents if "graph" in names else None

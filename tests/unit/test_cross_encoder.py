"""Scores of documents from a cross-encoder in this process: a tiny one with random weights, made on the spot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resources import torch_runtime
from resources.errors import RerankerError
from resources.reranker import CrossEncoderReranker
from resources.torch_runtime import set_threads, usable_cpus

WORDS = [f"word{number}" for number in range(200)]
WINDOW = 32


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a folder with a BERT of two layers for pairs; the same numbers every time."""

    def make(labels: int = 1, window: int | None = None) -> Path:
        import torch
        from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

        folder = tmp_path_factory.mktemp("models") / "tiny-reranker"
        folder.mkdir()
        (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
        tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
        if window is not None:
            tokenizer.model_max_length = window
        tokenizer.save_pretrained(folder)
        torch.manual_seed(7)
        config = BertConfig(
            vocab_size=len(WORDS) + 5, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=WINDOW, num_labels=labels, initializer_range=0.5,
        )  # fmt: skip
        BertForSequenceClassification(config).save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def reranker(make_model: Callable[..., Path]) -> CrossEncoderReranker:
    return CrossEncoderReranker(str(make_model()), "float32")


def test_scores_keep_the_order_of_the_documents(reranker: CrossEncoderReranker) -> None:
    """Pairs are batched by length; the scores come in the documents' order, as each document alone would get them."""
    documents = [" ".join(WORDS[number : number + 1 + number % 9]) for number in range(45)]
    scores = reranker.scores("word1 word2", documents)
    alone = np.concatenate([reranker.scores("word1 word2", [document]) for document in documents])
    assert (scores.shape, scores.dtype) == ((45,), np.float32)
    assert len(set(np.round(scores, 3).tolist())) > 30
    assert np.allclose(scores, alone, atol=1e-4)


def test_scores_depend_on_the_query(reranker: CrossEncoderReranker) -> None:
    """Another query, other scores; no documents, no scores; an empty text has one."""
    documents = WORDS[:10]
    assert not np.allclose(reranker.scores("word50", documents), reranker.scores("word60", documents))
    assert reranker.scores("word50", []).shape == (0,)
    assert np.isfinite(reranker.scores("", ["", "word1"])).all()


@pytest.mark.parametrize("stated", [None, WINDOW, 10_000])
def test_long_texts_are_cut_at_the_window(make_model: Callable[..., Path], stated: int | None) -> None:
    """What lies beyond the model's window changes nothing, whatever window its tokenizer states."""
    reranker = CrossEncoderReranker(str(make_model(window=stated)), "float32")
    short = " ".join(WORDS[:100])
    scores = reranker.scores("word1", [short, f"{short} {' '.join(WORDS[100:])}", " ".join(WORDS[100:])])
    assert np.isclose(scores[0], scores[1])
    assert not np.isclose(scores[0], scores[2])


def test_bfloat16_ranks_as_float32(make_model: Callable[..., Path], reranker: CrossEncoderReranker) -> None:
    """In bfloat16 the scores differ by little of their spread."""
    documents = [" ".join(WORDS[number : number + 6]) for number in range(60)]
    exact = reranker.scores("word7", documents)
    half = CrossEncoderReranker(str(make_model()), "bfloat16").scores("word7", documents)
    assert np.corrcoef(exact, half)[0, 1] > 0.99


def test_queries_of_several_threads_do_not_disturb_each_other(reranker: CrossEncoderReranker) -> None:
    """Eight threads at once get what each of them alone would get."""
    documents = [" ".join(WORDS[number : number + number % 20]) for number in range(40)]
    expected = {query: reranker.scores(query, documents) for query in WORDS[:8]}
    found: dict[str, object] = {}

    def ask(query: str) -> None:
        try:
            found[query] = [reranker.scores(query, documents) for _ in range(3)]
        except Exception as error:
            found[query] = error

    threads = [threading.Thread(target=ask, args=[query]) for query in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for query, scores in expected.items():
        assert all(np.allclose(one, scores, atol=1e-4) for one in found[query])  # type: ignore[attr-defined]


def test_a_folder_that_is_not_there_is_refused() -> None:
    """A name that is no folder is never downloaded."""
    with pytest.raises(RerankerError, match=r"RERANKER_MODEL 'org/some-model' is no folder.*not downloaded"):
        CrossEncoderReranker("org/some-model").scores("x", ["y"])


def test_a_folder_without_a_model_is_refused_by_name(tmp_path: Path) -> None:
    """A folder that holds no model: the message names it and the setting."""
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RerankerError, match=rf"{tmp_path} \(RERANKER_MODEL\) has no cross-encoder that can be loaded"):
        CrossEncoderReranker(str(tmp_path)).scores("x", ["y"])


def test_damaged_weights_are_refused_by_name(make_model: Callable[..., Path]) -> None:
    """Weights that were cut: the message names the folder and the setting."""
    folder = make_model()
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(RerankerError, match=rf"{folder} \(RERANKER_MODEL\) has no cross-encoder that can be loaded"):
        CrossEncoderReranker(str(folder)).scores("x", ["y"])


def test_a_classifier_of_pairs_is_no_reranker(make_model: Callable[..., Path]) -> None:
    """A model with three labels has no single score: it is refused rather than guessed about."""
    with pytest.raises(RerankerError, match="gives 3 numbers a pair"):
        CrossEncoderReranker(str(make_model(labels=3))).scores("x", ["y"])


def test_weights_that_give_nan_are_refused(make_model: Callable[..., Path]) -> None:
    """NaN out of the model is an error, not a score."""
    from safetensors.torch import load_file, save_file

    folder = make_model()
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.bias"] += float("nan")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(RerankerError, match="NaN or infinity"):
        CrossEncoderReranker(str(folder)).scores("x", ["y"])


def test_importing_loads_no_heavy_package() -> None:
    """A fresh interpreter that imports the module has loaded neither torch nor sentence-transformers."""
    code = "import sys, resources.reranker; print([m for m in ('torch', 'sentence_transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "200000 100000"}, 2), ({"cpu.max": "150000 100000"}, 2), ({"cpu.max": "1000 100000"}, 1),
        ({"cpu.max": "max 100000"}, None), ({}, None), ({"cpu.max": "odd"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    ],
)  # fmt: skip
def test_the_quota_of_a_container_is_known(
    files: dict[str, str], cpus: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cgroup v2 and v1 tell how many CPUs a container may use; without a quota the affinity decides."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(torch_runtime, "_CGROUP", tmp_path)
    monkeypatch.setattr(torch_runtime.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert usable_cpus() == (cpus or 64)


def test_torch_gets_the_threads_that_there_are_cpus_for() -> None:
    """In a process that may use one CPU, torch computes on one thread; OMP_NUM_THREADS, where it is set, stands."""
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from resources.torch_runtime import set_threads\nprint(set_threads())"
    )
    for given, expected in (({}, "1"), ({"OMP_NUM_THREADS": "2"}, "2")):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**_environment(), **given}
        )
        assert done.stdout.strip() == expected
    assert set_threads() >= 1


def test_a_model_that_is_saved_elsewhere_scores_the_same(
    make_model: Callable[..., Path], reranker: CrossEncoderReranker, tmp_path: Path
) -> None:
    """The folder is all that a model is: a copy under another name has the same scores and that name."""
    copy = tmp_path / "a-copy"
    shutil.copytree(make_model(), copy)
    assert json.loads((copy / "config.json").read_text())["model_type"] == "bert"
    moved = CrossEncoderReranker(str(copy), "float32")
    assert np.allclose(moved.scores("word3", WORDS[:5]), reranker.scores("word3", WORDS[:5]))
    assert (moved.model, reranker.model) == ("a-copy", "tiny-reranker")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}

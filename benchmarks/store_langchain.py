"""LangChain's PGVectorStore, run by benchmarks/stores.py in an environment of its own.

Configured as its documentation does: a column for what is filtered by, rows, then `apply_vector_index(HNSWIndex())`.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from importlib.metadata import version
from pathlib import Path

import numpy as np
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_postgres import Column, PGEngine, PGVectorStore
from langchain_postgres.v2.indexes import HNSWIndex, HNSWQueryOptions

TABLE = "langchain_rows"
BATCH = 2_000


def main(folder: Path, address: str, m: int, ef_construction: int, ef_search: int) -> None:
    """Load, ask without an index (what it has unless told), index, ask again; print figures as JSON."""
    arrays = np.load(folder / "vectors.npz")
    rows = json.loads((folder / "rows.json").read_text())
    questions = json.loads((folder / "questions.json").read_text())
    queries = arrays["queries"].astype(np.float32).tolist()
    engine = PGEngine.from_connection_string(f"postgresql+psycopg://{address}")
    engine.init_vectorstore_table(TABLE, arrays["rows"].shape[1], metadata_columns=[Column("repo", "TEXT")])
    store = PGVectorStore.create_sync(
        engine,
        DeterministicFakeEmbedding(size=arrays["rows"].shape[1]),  # never asked: the vectors are given
        TABLE,
        metadata_columns=["repo"],
        index_query_options=HNSWQueryOptions(ef_search=ef_search),
    )
    started = time.perf_counter()
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        store.add_embeddings(
            [text for text, _ in part],
            arrays["rows"][start : start + BATCH].astype(np.float32).tolist(),
            [{"repo": repo, "row": start + number} for number, (_, repo) in enumerate(part)],
            [str(uuid.UUID(int=start + number + 1)) for number in range(len(part))],
        )
    loaded = time.perf_counter()
    bare = ask(store, queries[:50], None)
    began = time.perf_counter()
    store.apply_vector_index(HNSWIndex(m=m, ef_construction=ef_construction))
    indexed = time.perf_counter() - began
    figures = {
        "version": f"langchain-postgres {version('langchain-postgres')}",
        "load_seconds": loaded - started,
        "index_seconds": indexed,
        "without_index": bare,
        "answers": [
            ask(store, queries[: question["queries"]], question["repo"] and {"repo": question["repo"]})
            for question in questions
        ],
    }
    print(json.dumps(figures))


def ask(store: PGVectorStore, queries: list[list[float]], condition: dict | None) -> dict:
    """Numbers of the rows that every query finds, and its seconds."""
    found, seconds = [], []
    for query in queries:
        started = time.perf_counter()
        documents = store.similarity_search_by_vector(query, k=10, filter=condition)
        seconds.append(time.perf_counter() - started)
        found.append([document.metadata["row"] for document in documents])
    return {"found": found, "seconds": seconds}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *(int(number) for number in sys.argv[3:6]))

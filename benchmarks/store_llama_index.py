"""LlamaIndex's PGVectorStore, run by benchmarks/stores.py in an environment of its own.

Configured as its documentation does: `hnsw_kwargs` and `use_halfvec`; the index is there before the rows.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import ExactMatchFilter, MetadataFilters
from llama_index.core.vector_stores.types import VectorStoreQuery
from llama_index.vector_stores.postgres import PGVectorStore

BATCH = 2_048  # as VectorStoreIndex hands them over


def main(folder: Path, address: str, m: int, ef_construction: int, ef_search: int) -> None:
    """Load and ask; print figures as JSON."""
    arrays = np.load(folder / "vectors.npz")
    rows = json.loads((folder / "rows.json").read_text())
    questions = json.loads((folder / "questions.json").read_text())
    queries = arrays["queries"].astype(np.float32).tolist()
    store = PGVectorStore.from_params(
        connection_string=f"postgresql+psycopg2://{address}",
        async_connection_string=f"postgresql+asyncpg://{address}",
        table_name="llama_index_rows",
        embed_dim=arrays["rows"].shape[1],
        use_halfvec=True,
        hnsw_kwargs={
            "hnsw_m": m,
            "hnsw_ef_construction": ef_construction,
            "hnsw_ef_search": ef_search,
            "hnsw_dist_method": "halfvec_cosine_ops",  # its default for halfvec is L2, which its queries never use
        },
        indexed_metadata_keys={("repo", "text")},
    )
    started = time.perf_counter()
    for start in range(0, len(rows), BATCH):
        vectors = arrays["rows"][start : start + BATCH].astype(np.float32).tolist()
        store.add(
            [
                TextNode(id_=str(start + number), text=text, embedding=vector, metadata={"repo": repo})
                for number, ((text, repo), vector) in enumerate(zip(rows[start : start + BATCH], vectors, strict=True))
            ]
        )
    loaded = time.perf_counter()
    figures = {
        "version": f"llama-index-vector-stores-postgres {version('llama-index-vector-stores-postgres')}",
        "load_seconds": loaded - started,
        "index_seconds": 0.0,
        "without_index": None,
        "answers": [ask(store, queries[: question["queries"]], question["repo"]) for question in questions],
    }
    print(json.dumps(figures))


def ask(store: PGVectorStore, queries: list[list[float]], repo: str | None) -> dict:
    """Numbers of the rows that every query finds, and its seconds."""
    condition = MetadataFilters(filters=[ExactMatchFilter(key="repo", value=repo)]) if repo else None
    found, seconds = [], []
    for query in queries:
        started = time.perf_counter()
        result = store.query(VectorStoreQuery(query_embedding=query, similarity_top_k=10, filters=condition))
        seconds.append(time.perf_counter() - started)
        found.append([int(identity) for identity in result.ids])
    return {"found": found, "seconds": seconds}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *(int(number) for number in sys.argv[3:6]))

"""How large an installation has to be: tokens to GPUs, events to disk, vectors to memory, work to CPUs.

Every default is measured or stated; docs/operations/sizing.md says where, and how to measure one's own. Bytes of rows
are worked out from PostgreSQL's page layout and pgvector's tuples, and tests hold them against real tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from resources.errors import ConfigurationError

DAY = 86_400
_MONTH = 30.4
_PAGE = 8192 - 24  # what a page has beside its header
_TUPLE = 24 + 4  # header of a row, and the pointer to it
_PADDING = 3.5  # bytes, on average, until the next multiple of eight
_TYPE, _NAME, _LOGIN = 10, 28, 11  # letters of an event's type, repository and actor, in 647 events of 2026
_INDEX_ENTRY = 8 + 4  # header and pointer
_ASCENDING, _RANDOM = 0.9, 0.7  # how full B-tree pages are, by the order in which keys come

_LEXEMES, _WORDS_INDEX = 2.1, 1.35  # bytes a byte of document: its tsvector, and its share of the GIN index
_COLUMNS = 190  # of an artifact's row, beside vector, document and words
_SPACE_COLUMNS = 75  # the same of a space's row
_KEYS = 55  # B-tree entries of an artifact's row: key and author

EVENTS_A_SECOND = 66_000
"""Events a second that one core of a run pod parses while one of the database stores them."""

BUILT_A_SECOND = 7_800 / 2
"""Rows a second and core of the database that an HNSW index of halfvec(384) takes in."""

SECONDS_A_REQUEST = 0.003
"""CPU that the client of the LLM has for a request: the target of `python -m benchmarks summaries`."""


@dataclass(frozen=True)
class Assumptions:
    """What is not known before it runs, with what was measured or stated elsewhere as defaults.

    hour_events: events an hour of hour files, which hold all of GitHub; 0: none are read. events: a day and tracked
    repository, from polling and webhooks; an event that comes twice is one row. payload_bytes: of one stored event.
    event_days: how long events are kept. items: pull requests, issues and releases summarized a day and repository.
    commits: embedded a day and repository, never summarized. item_tokens: read for a summary, without the
    instructions, which a prefix cache holds. text_bytes: stored of an item's source. gpu_tokens: tokens a second of
    one GPU, in and out. utilization: share of their time that GPUs and CPUs work. history_days: what can be searched,
    filled in backfill_days. models: embedding models beside each other. hnsw_m: neighbours of an index's rows.
    document_bytes: of what is embedded. releases: that are kept. builds: of the running month's indexes a day.
    embedded_a_second: documents a second and core. pod_cores: CPUs of a run pod.

    Raises:
        ConfigurationError: a value is no finite number within its bounds.
    """

    repos: int = 40_000
    hour_events: int = 600_000
    events: float = 36
    event_days: int = 90
    payload_bytes: int = 255
    items: float = 0.78
    commits: float = 0
    item_tokens: int = 325
    reply_tokens: int = 90
    text_bytes: int = 2_300
    gpu_tokens: float = 9_900
    utilization: float = 0.5
    history_days: int = 365
    backfill_days: int = 30
    dimensions: int = 384
    models: int = 1
    hnsw_m: int = 16
    document_bytes: int = 420
    releases: int = 7
    builds: float = 24
    embedded_a_second: float = 129
    pod_cores: int = 2

    def __post_init__(self) -> None:
        for one in fields(self):
            value, (least, most) = getattr(self, one.name), _BOUNDS.get(one.name, (0, math.inf))
            if not (math.isfinite(value) and least <= value <= most):
                bounds = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
                option = f"--{one.name.replace('_', '-')}"
                raise ConfigurationError(f"{option} {value:g}: expected a number {bounds}. Give another one.")


_BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("gpu_tokens", "embedded_a_second"), (0.001, math.inf)),
    **dict.fromkeys(("event_days", "history_days", "backfill_days", "pod_cores"), (1, math.inf)),
    **dict.fromkeys(("models", "releases"), (1, 100)),
    "utilization": (0.01, 1),
    "dimensions": (1, 4000),  # of a halfvec that HNSW takes
    "hnsw_m": (2, 100),
}


@dataclass(frozen=True)
class Size:
    """What it takes. Bytes, tokens and rows are plain numbers; gpus and CPUs are rounded up, the rest is not."""

    events_a_day: float
    event_bytes: float
    items_a_day: float
    tokens_a_day: float
    gpus_for_a_day: float
    gpus_for_the_backfill: float
    gpus: int
    rows: float
    text_bytes: float
    vector_bytes: float
    index_bytes: float
    kept_index_bytes: float
    disk_bytes: float
    hnsw_bytes: float
    memory_bytes: float
    pod_cores_for_a_day: float
    pod_cores_for_the_backfill: float
    run_pods: int
    run_pod_cpus: int
    database_cores_for_a_day: float
    database_cores_for_the_backfill: float
    database_cpus: int


def size(given: Assumptions) -> Size:
    """Work out what it takes under these assumptions."""
    events_a_day = max(24.0 * given.hour_events, given.repos * given.events)
    items_a_day = given.repos * given.items
    documents_a_day = (items_a_day + given.repos * given.commits) * given.models
    tokens_a_day = items_a_day * (given.item_tokens + given.reply_tokens)
    gpus_for_a_day = tokens_a_day / DAY / given.gpu_tokens / given.utilization
    faster = given.history_days / given.backfill_days
    rows = documents_a_day * given.history_days
    artifact_row = artifact_row_bytes(given.dimensions, given.document_bytes, given.hnsw_m)
    event_bytes = events_a_day * given.event_days * event_row_bytes(given.payload_bytes)
    text_bytes = rows / given.models * (given.text_bytes + given.document_bytes)
    vector_bytes = rows * vector_row_bytes(given.dimensions, given.document_bytes)
    index_bytes = rows * artifact_row
    month = min(_MONTH, given.history_days) * documents_a_day
    kept = (given.releases - 1) * month * artifact_row
    loading = events_a_day / EVENTS_A_SECOND
    prepared = documents_a_day / given.embedded_a_second + items_a_day * SECONDS_A_REQUEST
    built = month * given.builds / BUILT_A_SECOND
    load_faster = given.event_days / given.backfill_days
    work = DAY * given.utilization
    pods = (loading + prepared) / work, (loading * load_faster + prepared * faster) / work
    database = (loading + built) / work, (loading * load_faster + documents_a_day * faster / BUILT_A_SECOND) / work
    run_pods = math.ceil(max(pods) / given.pod_cores)
    return Size(
        events_a_day=events_a_day,
        event_bytes=event_bytes,
        items_a_day=items_a_day,
        tokens_a_day=tokens_a_day,
        gpus_for_a_day=gpus_for_a_day,
        gpus_for_the_backfill=gpus_for_a_day * faster,
        gpus=math.ceil(gpus_for_a_day * max(1.0, faster)),
        rows=rows,
        text_bytes=text_bytes,
        vector_bytes=vector_bytes,
        index_bytes=index_bytes,
        kept_index_bytes=kept,
        disk_bytes=event_bytes + text_bytes + vector_bytes + index_bytes + kept,
        hnsw_bytes=rows * hnsw_row_bytes(given.dimensions, given.hnsw_m),
        memory_bytes=index_bytes,
        pod_cores_for_a_day=pods[0],
        pod_cores_for_the_backfill=pods[1],
        run_pods=run_pods,
        run_pod_cpus=run_pods * given.pod_cores,
        database_cores_for_a_day=database[0],
        database_cores_for_the_backfill=database[1],
        database_cpus=math.ceil(max(database)),
    )


def event_row_bytes(payload: float, kind: float = _TYPE, name: float = _NAME, login: float = _LOGIN) -> float:
    """Bytes of one row of `events` with its two indexes; payload as pg_column_size says, the others in letters."""
    fixed = 8 + 8 + 8 + 8 + 4  # created_at, event_id, repo_id, actor_id, source_id
    row = _TUPLE + fixed + kind + name + login + 3 + payload + 3 * _PADDING
    key = (_INDEX_ENTRY + 16 + 1 + kind + _PADDING) / _ASCENDING
    by_repository = (_INDEX_ENTRY + 16) / _RANDOM
    return _in_pages(row) + key + by_repository


def vector_row_bytes(dimensions: int, document: float) -> float:
    """Bytes of one row of an embedding space with its indexes: halfvec, document, words, keys."""
    row = _TUPLE + 8 + 2 * dimensions + document * (1 + _LEXEMES) + _SPACE_COLUMNS
    return _in_pages(row) + (_INDEX_ENTRY + 16) / _ASCENDING + (_INDEX_ENTRY + 40) / _RANDOM


def artifact_row_bytes(dimensions: int, document: float, m: int = 16) -> float:
    """Bytes of one row of an index artifact with all its indexes."""
    row = _TUPLE + 8 + 2 * dimensions + document * (1 + _LEXEMES) + _COLUMNS
    return _in_pages(row) + hnsw_row_bytes(dimensions, m) + document * _WORDS_INDEX + _KEYS


def hnsw_row_bytes(dimensions: int, m: int = 16) -> float:
    """Bytes of one row in pgvector's HNSW index: its vector, and its neighbours, a row in m on a level more."""
    element = 72 + 8 + 2 * dimensions
    neighbours = 4 + 6 * m * (2 + 1 / (m - 1))
    row = _padded(element) + _padded(neighbours) + 2 * 4
    return 8192 / (_PAGE - 8) * row if row > _PAGE / 2 else 8192 / math.floor((_PAGE - 8) / row)


def _in_pages(row: float) -> float:
    """Bytes of a row's share of its pages: each leaves half a row free at its end, and large values lie elsewhere."""
    return row * 8192 / (_PAGE - min(row, _PAGE / 4) / 2)


def _padded(size: float) -> float:
    return 8 * math.ceil(size / 8)

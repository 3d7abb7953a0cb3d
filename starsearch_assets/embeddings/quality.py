"""What is promised of each day's vectors, and the verdicts on it: one a check, and one that lets the day into an index.

They are recorded for one space; where several are filled, `every_space` makes one verdict of those of all.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from psycopg import sql as pgsql

from resources.postgres import Connection, sql
from starsearch_assets import audits
from starsearch_assets.embeddings.spaces import Space

COVERAGE, DIMENSIONS, LENGTH, EQUALS, TEXTS, ORPHANS, DRIFT = (
    "coverage", "dimensions", "length", "equals", "texts", "orphans", "drift",
)  # fmt: skip

TOLERANCE = 0.01
"""How far from 1 a vector's length may be: halves keep 11 bits, and 384 of them are summed."""

FLOOD_TEXTS, FLOOD_SHARE = 10, 0.1
"""From so many different texts on, this share of them may have the vector of another one: texts that differ only beyond
the model's window do."""

DRIFT_FLOOR = 0.8
DRIFT_VECTORS = 50
"""Cosine of the day's mean vector with that of the days before, below which something changed; fewer vectors than these
tell nothing. Real days of so many lie at 0.89 to 0.94, damaged ones at 0.68 or less (README.md beside this module)."""

DRIFT_DAYS, DRIFT_MOST = 28, 5_000
"""Days before that are looked at, and the most activities of them that are read."""

EXAMPLES = 10
"""Findings that a verdict shows at most."""


@dataclass(frozen=True)
class VectorCheck:
    """One check of a day's vectors. strict: a day that breaks it stays out of the index; else it warns."""

    name: str
    rule: str
    strict: bool
    description: str


VECTOR_CHECKS: Final = (
    VectorCheck("vectors_cover_documents", COVERAGE, True, "Items with text have a vector of their current document."),
    VectorCheck("vectors_have_dimensions", DIMENSIONS, True, "Vectors have the dimensions of their space."),
    VectorCheck("vectors_are_unit", LENGTH, True, "Vectors are finite and of unit length."),
    VectorCheck("vectors_differ", EQUALS, True, "Different texts have different vectors, nearly all of them."),
    VectorCheck("vectors_match_texts", TEXTS, True,
                "Each row's text_hash is of its document, and that is made of the summary that the row names."),
    VectorCheck("vectors_have_items", ORPHANS, False, "Every vector of the space has its item."),
    VectorCheck("vectors_do_not_drift", DRIFT, False, "The mean vector lies where that of the days before does."),
)  # fmt: skip
"""The checks of every `*_embeddings` asset."""


class Expected(NamedTuple):
    """A document that has to have a vector."""

    repo_id: int
    ref: str
    text_hash: bytes


@dataclass
class _Finding:
    """What one check found. figures: what it rests on."""

    total: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)


def judge_day(
    connection: Connection, space: Space, day: date, expected: Sequence[Expected], read_at: datetime, run_id: str | None
) -> bool:
    """Record a verdict of each check on the day's vectors in one space, and the space's gate; returns the latter.

    expected: the day's documents as they were read from the database at read_at.
    """
    found, vectors = _findings(connection, space, expected, read_at)
    found[ORPHANS] = _orphans(connection, space)
    found[DRIFT] = _drift(connection, space, day)
    version = _data_version(space, expected)
    common = {"documents": len(expected), "vectors": vectors, "model": space.model, "dimensions": space.dimensions}
    gate, failed = True, []
    for check in VECTOR_CHECKS:
        finding = found[check.rule]
        passed = _PASSES.get(check.rule, _nothing_found)(finding)
        if not passed:
            failed.append(check.name)
        gate = gate and (passed or not check.strict)
        details = {_NAMES[check.rule]: finding.total} if check.rule in _NAMES else {}
        details |= finding.figures | common | {"examples": finding.examples}
        asset = space.kind.embeddings
        audits.record(connection, audits.Audit(asset, f"{day}", version, passed, details, check.name), run_id)
    told = common | {"failed": ", ".join(failed) or "none"}
    audits.record(connection, audits.Audit(space.kind.embeddings, f"{day}", version, gate, told, space.gate), run_id)
    return gate


_NAMES: Final = {
    COVERAGE: "without a current vector",
    DIMENSIONS: "of other dimensions",
    LENGTH: "not of unit length",
    EQUALS: "with the vector of another text",
    TEXTS: "of another text or summary",
    ORPHANS: "without an item",
}
"""What a check's count is called."""


def _nothing_found(finding: _Finding) -> bool:
    return finding.total == 0


def _no_flood(finding: _Finding) -> bool:
    texts, vectors = finding.figures["distinct texts"], finding.figures["distinct vectors"]
    return bool(texts < FLOOD_TEXTS or vectors >= (1 - FLOOD_SHARE) * texts)


def _near_enough(finding: _Finding) -> bool:
    return bool(finding.figures.get("cosine of the means", 1.0) >= DRIFT_FLOOR)


_PASSES: Final[dict[str, Callable[[_Finding], bool]]] = {EQUALS: _no_flood, DRIFT: _near_enough}


def _findings(
    connection: Connection, space: Space, expected: Sequence[Expected], read_at: datetime
) -> tuple[defaultdict[str, _Finding], int]:
    """What is wrong with the day's rows, by rule, and how many there are. Leaves `judged_vectors` behind."""
    connection.execute("DROP TABLE IF EXISTS pg_temp.judged_vectors, pg_temp.expected")
    connection.execute("CREATE TEMPORARY TABLE expected (repo_id bigint, ref text, text_hash bytea) ON COMMIT DROP")
    with connection.cursor().copy("COPY expected FROM STDIN") as copy:
        for one in expected:
            copy.write_row(one)
    connection.execute("ANALYZE expected")
    connection.execute(_statement("judged_vectors", space, read_at=read_at))
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE NOT missing), count(DISTINCT fingerprint), count(DISTINCT text_hash)"
        " FROM judged_vectors"
    ).fetchone()
    assert row is not None
    found: defaultdict[str, _Finding] = defaultdict(_Finding)
    found[EQUALS].figures = {"distinct vectors": row[1], "distinct texts": row[2], "limit": FLOOD_SHARE}
    parameters = {"dimensions": space.dimensions, "tolerance": TOLERANCE, "examples": EXAMPLES}
    for rule, total, item, what, document in connection.execute(sql(__package__, "found"), parameters):
        found[rule].total = total
        if item is not None:
            found[rule].examples.append({"item": item, "found": what, "document": document})
    return found, row[0]


def _orphans(connection: Connection, space: Space) -> _Finding:
    finding = _Finding()
    for total, of, item, what in connection.execute(_statement("orphans", space, examples=EXAMPLES)):
        finding.total, finding.figures = total, {"vectors in the space": of}
        if item is not None:
            finding.examples.append({"item": item, "found": what})
    return finding


def _drift(connection: Connection, space: Space, day: date) -> _Finding:
    row = connection.execute(
        _statement("drift", space, day=day, dimensions=space.dimensions, days=DRIFT_DAYS, most=DRIFT_MOST)
    ).fetchone()
    assert row is not None
    vectors, before, cosine = row
    figures: dict[str, Any] = {"vectors of the days before": before, "floor": DRIFT_FLOOR}
    if min(vectors, before) >= DRIFT_VECTORS and cosine is not None:
        figures["cosine of the means"] = round(cosine, 3)
    else:
        figures["not judged"] = f"fewer than {DRIFT_VECTORS} vectors on this day or before it"
    return _Finding(figures=figures)


def _statement(name: str, space: Space, **values: Any) -> pgsql.Composed:
    literals = {key: pgsql.Literal(value) for key, value in values.items()}
    return pgsql.SQL(sql(__package__, name)).format(
        vectors=space.table, kind=pgsql.Literal(space.kind.name), **literals
    )


def _data_version(space: Space, expected: Sequence[Expected]) -> str:
    digest = hashlib.sha256(f"{space.model}/{space.dimensions}".encode())
    for one in expected:
        digest.update(b"%d/%b/%b" % (one.repo_id, one.ref.encode(), one.text_hash))
    return digest.hexdigest()

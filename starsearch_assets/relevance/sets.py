"""Sets of judged queries as files in TREC's forms: NAME.queries.tsv and NAME.qrels, read strictly.

    NAME.queries.tsv    query id, tab, text
    NAME.qrels          query id, 0, item, relevance; separated by blanks or tabs

A relevance of 0 says that an item was judged and does not answer; 1 and above that it does, the better the higher. A
query without an item above 0 is one that nothing here answers. The forms are those of trec_eval.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from resources.errors import NothingLoaded, ResourceError
from starsearch_assets.relevance.names import EXPECTED, ItemName, parse_name

QUERIES, JUDGEMENTS = ".queries.tsv", ".qrels"
_ID = re.compile(r"\S+")
_GRADE = re.compile(r"[0-9]{1,3}", re.ASCII)


class JudgementsUnreadable(ResourceError):
    """A file of judged queries that is not in its form; says where, what was expected and what came."""


@dataclass(frozen=True)
class JudgedQuery:
    """One query and the grades of the items that were judged for it."""

    query_id: str
    text: str
    grades: Mapping[ItemName, int] = field(default_factory=dict)


@dataclass(frozen=True)
class QuerySet:
    """The queries of one pair of files. version: a digest of what they say."""

    name: str
    version: str
    queries: tuple[JudgedQuery, ...]


def read_sets(folder: Path) -> tuple[QuerySet, ...]:
    """All sets in `folder`, by name; none where the folder is not there.

    Raises:
        JudgementsUnreadable: a file cannot be read, is not in its form, or lacks its other half.
    """
    if not folder.is_dir():
        return ()
    names = {path.name.removesuffix(suffix) for suffix in (QUERIES, JUDGEMENTS) for path in folder.glob(f"*{suffix}")}
    return tuple(read_set(folder, name) for name in sorted(names))


def chosen_sets(folder: Path, names: Sequence[str] = ()) -> tuple[QuerySet, ...]:
    """The sets of these names, or all, at least one.

    Raises:
        NothingLoaded: there are none, or not one of that name; the message says which there are, and where they go.
        JudgementsUnreadable: as `read_sets` does.
    """
    sets = read_sets(folder)
    if not sets:
        raise NothingLoaded(
            f"There are no judged queries in {folder} (RELEVANCE_DIR): expected two files a set, NAME{QUERIES} with"
            f" query id, tab and text, NAME{JUDGEMENTS} with query id, 0, item and relevance; items are {EXPECTED}."
        )
    there = {one.name for one in sets}
    if unknown := [name for name in names if name not in there]:
        raise NothingLoaded(
            f"{folder} holds no set of judged queries named {', '.join(unknown)}: there are {', '.join(sorted(there))}."
        )
    return tuple(one for one in sets if not names or one.name in names)


def read_set(folder: Path, name: str) -> QuerySet:
    """The set `name` in `folder`; raises as `read_sets` does."""
    digest = hashlib.sha256()
    texts: dict[str, str] = {}
    path = folder / f"{name}{QUERIES}"
    for number, line in _lines(path, digest, f"{name}{JUDGEMENTS}"):
        query_id, tab, text = line.partition("\t")
        if not tab or not text.strip() or _ID.fullmatch(query_id) is None or "\t" in text:
            raise _error(path, number, "a query id without blanks, one tab, and the query's text", line)
        if query_id in texts:
            raise _error(path, number, "every query id once", f"{query_id} again")
        texts[query_id] = text.strip()
    if not texts:
        raise _error(path, 1, "at least one query", "none")
    grades: dict[str, dict[ItemName, int]] = {query_id: {} for query_id in texts}
    path = folder / f"{name}{JUDGEMENTS}"
    for number, line in _lines(path, digest, f"{name}{QUERIES}"):
        fields = line.split()
        if len(fields) != 4:
            raise _error(path, number, "four fields: query id, 0, item, relevance", line)
        query_id, iteration, item, grade = fields
        if query_id not in grades:
            raise _error(path, number, f"a query id of {name}{QUERIES}", query_id)
        if iteration != "0":
            raise _error(path, number, "0 in the second field", iteration)
        if _GRADE.fullmatch(grade) is None:
            raise _error(path, number, "a relevance of 0 to 999 in the fourth field", grade)
        try:
            judged = parse_name(item)
        except ValueError as error:
            raise _error(path, number, str(error).removeprefix("expected ").rpartition("; came ")[0], item) from error
        if judged in grades[query_id]:
            raise _error(path, number, "every item once a query", f"{item} again for {query_id}")
        grades[query_id][judged] = int(grade)
    queries = tuple(JudgedQuery(query_id, text, grades[query_id]) for query_id, text in texts.items())
    return QuerySet(name, digest.hexdigest()[:16], queries)


def write_set(folder: Path, name: str, queries: tuple[JudgedQuery, ...]) -> None:
    """Write a set's two files into `folder`, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{query.query_id} 0 {item} {grade}\n" for query in queries for item, grade in query.grades.items()]
    for suffix, text in (
        (JUDGEMENTS, "".join(lines)),
        (QUERIES, "".join(f"{query.query_id}\t{query.text}\n" for query in queries)),
    ):
        partial = folder / f".{name}{suffix}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / f"{name}{suffix}")


def _lines(path: Path, digest: hashlib._Hash, other: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without the empty ones; what they say goes into the digest."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise JudgementsUnreadable(
            f"{path} is missing: expected it beside {other}. A set of judged queries has both files."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise JudgementsUnreadable(f"{path} cannot be read: expected a text in UTF-8; {error}.") from error
    for number, line in enumerate(text.split("\n"), 1):
        if line := line.removesuffix("\r"):
            digest.update(line.encode() + b"\n")
            yield number, line
    digest.update(b"\0")


def _error(path: Path, number: int, expected: str, came: str) -> JudgementsUnreadable:
    return JudgementsUnreadable(f"{path}, line {number}: expected {expected}; came {came[:200]!r}.")

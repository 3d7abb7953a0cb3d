"""Hits, and the rows behind their keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from psycopg import sql as pgsql

from answering.releases import Artifact
from resources.kinds import COMMIT, RELEASE
from resources.postgres import Connection, as_array

GITHUB = "https://github.com"


@dataclass(frozen=True)
class WordRule:
    """When words make an answer of an item that is not near enough: coverage at least so much, and a score at most so
    much below the threshold. docs/decisions/0006 says how the figures were found.
    """

    coverage: float = 0.8
    margin: float = 0.2


WORD_RULE = WordRule()


def counts_as_answer(score: float, coverage: float, threshold: float, rule: WordRule | None = WORD_RULE) -> bool:
    """Whether a hit is near enough to answer; or, by the rule, not far and with nearly all of the query's words."""
    if rule is not None and coverage >= rule.coverage:
        threshold -= rule.margin
    return score >= threshold


class Key(NamedTuple):
    """An item of a release, and the artifact in which it stands."""

    artifact_id: int
    repo_id: int
    ref: str


@dataclass(frozen=True)
class Hit:
    """One item found.

    score: cosine similarity to the query, 0 where it has no vector. rank_score: what hits are ordered by; it compares
    within one search only. coverage: the share of the query's words that the item has, each by its information, 0 to 1.
    document: the text that was embedded.
    """

    kind: str
    repo: str
    ref: str
    title: str
    url: str
    score: float
    repo_id: int
    author: str | None
    author_is_bot: bool
    state: str | None
    created_on: date | None
    activity_day: date
    document: str
    document_source: str
    artifact_id: int = field(repr=False)
    author_name: str | None = None
    rank_score: float = 0.0
    coverage: float = 0.0

    @property
    def by(self) -> str | None:
        """Its author for people: @login, or the name that git tells where no login is known."""
        return f"@{self.author}" if self.author else self.author_name

    @property
    def place(self) -> str:
        """Where it is, as GitHub writes it: owner/name#12, owner/name@v1.0, owner/name@3f2a91c."""
        return f"{self.repo}{shown_ref(self.kind, self.ref)}"

    @property
    def item(self) -> tuple[str, int, str]:
        """Its identity, whatever the release."""
        return self.kind, self.repo_id, self.ref

    def is_relevant(self, threshold: float) -> bool:
        """Whether it counts as an answer."""
        return counts_as_answer(self.score, self.coverage, threshold)

    def as_json(self) -> dict[str, Any]:
        """The shape that `search --json` and GET /v1/search give out."""
        return {
            "kind": self.kind, "repo": self.repo, "ref": self.ref, "title": self.title, "url": self.url,
            "score": self.score, "rank_score": self.rank_score,
        }  # fmt: skip


def shown_ref(kind: str, ref: str) -> str:
    """#12, @v1.0, or @3f2a91c, the first seven digits of a SHA."""
    if kind == COMMIT.name:
        return f"@{ref[:7]}"
    return f"@{ref}" if kind == RELEASE.name else f"#{ref}"


_NOT_TOO_MANY = 64


def in_statement(artifacts: Collection[int], asked: Iterable[int]) -> list[int]:
    """Which artifacts, by their ids, a statement for rows of those `asked` reads: all of not too many, asked for a row
    or not, so that it is the same one each time and planned once."""
    return list(artifacts) if len(artifacts) <= _NOT_TOO_MANY else sorted(set(asked))


_COLUMNS = (
    "repo_id, ref, title, url_path, author_login, author_is_bot, state, created_at, activity_day, document,"
    " document_source, embedding, lexemes"
)


def fetch(
    connection: Connection,
    artifacts: Mapping[int, Artifact],
    ranked: Mapping[Key, float],
    parameters: Mapping[str, Any],
    *,
    distance: str = "1",
    coverage: str = "0",
) -> dict[Key, Hit]:
    """The hits of keys that were ranked by a score. distance, coverage: SQL of a row `a`, over `parameters`."""
    if not ranked:
        return {}
    read = in_statement(artifacts, (key.artifact_id for key in ranked))
    values = dict(parameters)
    values["wanted_artifacts"] = as_array(key.artifact_id for key in ranked)
    values["wanted_repos"] = as_array(key.repo_id for key in ranked)
    values["wanted_refs"] = as_array(key.ref for key in ranked)
    query = _rows(tuple(artifacts[artifact_id] for artifact_id in read), distance, coverage)
    rows = connection.execute(query, values).fetchall()
    found = ((Key(*row[:3]), row) for row in rows)
    return {key: _hit(artifacts[key.artifact_id].kind, row, ranked[key]) for key, row in found}


@lru_cache(256)
def _rows(artifacts: tuple[Artifact, ...], distance: str, coverage: str) -> bytes:
    branches = [
        pgsql.SQL(
            "SELECT artifact_id, {columns}, {sha} AS sha FROM wanted JOIN {table} USING (repo_id, ref)"
            " WHERE artifact_id = {id}"
        ).format(
            id=pgsql.Literal(artifact.artifact_id),
            columns=pgsql.SQL(_COLUMNS),
            sha=pgsql.SQL("ref" if artifact.kind == COMMIT.name else "NULL::text"),
            table=pgsql.Identifier("artifacts", artifact.table),
        )
        for artifact in artifacts
    ]
    of_commits = any(artifact.kind == COMMIT.name for artifact in artifacts)
    query = pgsql.SQL(
        "WITH wanted AS (SELECT * FROM unnest(%(wanted_artifacts)s::bigint[], %(wanted_repos)s::bigint[],"
        " %(wanted_refs)s::text[]) AS asked (artifact_id, repo_id, ref))"
        " SELECT a.artifact_id, a.repo_id, a.ref, a.title, a.url_path, a.author_login, a.author_is_bot, a.state,"
        " a.created_at::date, a.activity_day, a.document, a.document_source, {distance}, {coverage}, r.name, r.git_url,"
        " {author_name} FROM ({branches}) a JOIN published.repositories r ON r.repo_id = a.repo_id {commits}"
    ).format(
        distance=pgsql.SQL(distance),
        coverage=pgsql.SQL(coverage),
        branches=pgsql.SQL(" UNION ALL ").join(branches),
        author_name=pgsql.SQL("c.author_name" if of_commits else "NULL"),  # only git knows authors without a login
        commits=pgsql.SQL(
            "LEFT JOIN published.commits c ON c.repo_id = a.repo_id AND c.sha = a.sha" if of_commits else ""
        ),
    )
    return query.as_bytes()


def _hit(kind: str, row: tuple[Any, ...], rank_score: float) -> Hit:
    (
        artifact_id, repo_id, ref, title, url_path, author, is_bot, state, created_on, activity_day,
        document, document_source, distance, coverage, repo, git_url, author_name,
    ) = row  # fmt: skip
    return Hit(
        kind=kind,
        repo=repo,
        ref=ref,
        title=title,
        url=f"{git_url}#{ref}" if git_url else f"{GITHUB}/{repo}/{url_path}",
        score=round(1.0 - float(distance), 4),
        repo_id=repo_id,
        author=author,
        author_is_bot=bool(is_bot),
        state=state,
        created_on=created_on,
        activity_day=activity_day,
        document=document,
        document_source=document_source,
        artifact_id=artifact_id,
        author_name=author_name,
        rank_score=round(rank_score, 6),
        coverage=round(float(coverage), 4),
    )

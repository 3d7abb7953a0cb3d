"""Questions in, cited answers out: one release from start to end, labelled by mode, traced."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from psycopg.errors import UndefinedTable
from psycopg.types.json import Jsonb

from answering.compose import Composition, compose_by_rule, compose_with_llm
from answering.errors import ModelMismatch, ScopeError
from answering.evidence import Citation, Evidence
from answering.gather import Gatherer
from answering.insights.basis import Insight
from answering.insights.experts import Experts, experts
from answering.lineage import trace
from answering.question import Question, read_question
from answering.releases import Release, load_release
from answering.retrieval import Hit, Mode, Query, Ranking, Scope, search
from answering.warming import warm_artifacts
from resources.embedder import Embedder
from resources.embedders import Embedders
from resources.errors import LLMError
from resources.kinds import KINDS
from resources.llm import LLM
from resources.postgres import Database
from resources.reranker import Reranker

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """An answer and what it rests on.

    mode: extractive (no LLM asked), llm, or degraded (the LLM failed: composed by rule instead).
    coverage: the release's own figures, and `text`, one sentence for people.
    """

    answer_id: str
    question: str
    answer: str
    mode: str
    abstained: bool
    release: int
    coverage: dict[str, Any]
    citations: tuple[Citation, ...]

    def as_json(self) -> dict[str, Any]:
        """The shape that `ask --json` and POST /v1/ask give out."""
        return {
            "answer_id": self.answer_id,
            "answer": self.answer,
            "mode": self.mode,
            "abstained": self.abstained,
            "release": self.release,
            "coverage": self.coverage,
            "citations": [citation.as_json() for citation in self.citations],
        }


class Answerer:
    """Answers questions over the active release, or over `pinned` where one is held.

    embedder: for releases of its model. embedders: of the other registered models.
    """

    def __init__(
        self,
        tools: Database,
        service: Database,
        embedder: Embedder,
        threshold: float,
        llm: LLM | None = None,
        *,
        embedders: Embedders | None = None,
        ranking: Ranking | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self._tools, self._service, self._embedder = tools, service, embedder
        self._threshold, self._llm, self._embedders = threshold, llm, embedders
        self._ranking, self._reranker = ranking or Ranking(), reranker
        self.pinned: Release | None = None

    def release(self) -> Release:
        """The release that the next answer uses.

        Raises:
            NoActiveRelease: none is active.
        """
        return self.pinned or load_release(self._tools)

    def warm(self) -> None:
        """Load the settings' embedding model, where there is no release yet."""
        self._embedder.encode(["warm"])

    def prepare(self, release: Release, held: Release | None = None) -> None:
        """Load the model of `release` and read its indexes into memory, before it is pinned in place of `held`.

        Raises:
            ModelMismatch, EmbedderError: its model is not there, or is another one than built it.
        """
        self.embedder_of(release).encode(["warm"])
        warm_artifacts(self._tools, release, held.artifacts if held is not None else ())

    def embedder_of(self, release: Release) -> Embedder:
        """The embedder of the model that `release` was built with, whatever the settings name.

        Raises:
            ModelMismatch: that model is not registered, or gives vectors of other dimensions now.
            EmbedderError: it cannot be loaded or reached.
        """
        embedder: Embedder | None = self._embedder
        if release.model != self._embedder.model:
            embedder = None if self._embedders is None else self._embedders.find(self._tools, release.model)
        if embedder is None:
            raise ModelMismatch(
                f"Release {release.release_id} was built with the embedding model {release.model}, which is not"
                " registered here: `starsearch spaces create` registers it, `starsearch spaces list` shows those"
                " that are, and `starsearch release activate` goes back to a release of one of them."
            )
        if embedder.dimensions != release.dimensions:
            raise ModelMismatch(
                f"Release {release.release_id} was built with vectors of {release.dimensions} dimensions by"
                f" {release.model}, which now gives {embedder.dimensions}: it is not the same model. Bring back the"
                " model that built it (EMBEDDING_MODEL, EMBEDDING_BASE_URL), or activate a release of another one"
                " with `starsearch spaces activate`."
            )
        return embedder

    def search(self, text: str, scope: Scope, k: int, mode: Mode = "hybrid") -> tuple[Release, list[Hit]]:
        """The `k` items that fit `text` best, without a threshold: the caller sees the scores."""
        question = read_question(text)

        def find(release: Release) -> tuple[Release, list[Hit]]:
            vector = None if mode == "text" else self.embedder_of(release).encode([question.text])[0]
            hits = search(
                self._tools, release, Query(question.text, vector), scope=scope, k=k, mode=mode,
                ranking=self._ranking, reranker=self._reranker,
            )  # fmt: skip
            return release, hits

        return self._over_release(find)

    def ask(self, text: str, scope: Scope | None = None) -> Answer:
        """Answer a question, or abstain and say what is covered.

        Raises:
            AnsweringError: the question cannot be read, or there is no release to answer from.
        """
        question = read_question(text)
        return self._over_release(lambda release: self._answer(release, question, scope or Scope()))

    def experts(
        self, knows: Sequence[str], interested: Sequence[str] = (), scope: Scope | None = None
    ) -> Insight[Experts]:
        """People who know some topics and are interested in others, as `answering.insights.experts` ranks them.

        Raises:
            AnsweringError: no topic, a scope that cannot be used, or no release to look in.
        """
        return self._over_release(lambda release: experts(self._gatherer(release), knows, interested, scope))

    def _gatherer(self, release: Release) -> Gatherer:
        return Gatherer(self._tools, release, self.embedder_of(release), self._threshold, self._ranking, self._reranker)

    def _over_release(self, work: Callable[[Release], T]) -> T:
        """Do `work` over the release; if an artifact of it was dropped meanwhile, once more over the active one."""
        release = self.release()
        try:
            return work(release)
        except UndefinedTable as error:
            logger.warning(
                "an artifact was dropped under a question, asked once more",
                extra={"release": release.release_id, "reason": str(error)},
            )
            return work(load_release(self._tools))

    def _answer(self, release: Release, question: Question, scope: Scope) -> Answer:
        try:
            evidence = self._gatherer(release).gather(question, scope)
        except ScopeError as error:
            evidence = Evidence(why_not=str(error))
        coverage = {**release.coverage, "text": coverage_text(release)}
        if not evidence.facts:
            answer = f"I do not know. {evidence.why_not} {coverage['text']}"
            return self._keep(release, question.text, answer, "extractive", evidence, coverage, abstained=True)
        composition, mode = self._compose(question, evidence)
        return self._keep(release, question.text, composition.text, mode, evidence, coverage, abstained=False)

    def _compose(self, question: Any, evidence: Evidence) -> tuple[Composition, str]:
        if self._llm is None:
            return compose_by_rule(evidence), "extractive"
        try:
            composition = compose_with_llm(self._llm, question, evidence)
        except LLMError as error:
            logger.warning("the LLM failed, the answer is composed by rule", extra={"reason": str(error)})
            return compose_by_rule(evidence), "degraded"
        if not composition.text:
            logger.warning("no sentence of the LLM was backed", extra={"dropped": composition.dropped})
            return compose_by_rule(evidence), "degraded"
        return composition, "llm"

    def _keep(
        self,
        release: Release,
        question: str,
        text: str,
        mode: str,
        evidence: Evidence,
        coverage: dict[str, Any],
        *,
        abstained: bool,
    ) -> Answer:
        """Store the answer with the trace of its citations, in the service's own schema."""
        answer = Answer(
            str(uuid.uuid4()), question, text, mode, abstained, release.release_id, coverage,
            () if abstained else tuple(evidence.citations),
        )  # fmt: skip
        traced = {} if abstained else trace(self._tools, release, evidence)
        self._service.execute(
            "INSERT INTO answers (answer_id, question, answer, mode, abstained, release_id, coverage, citations, trace)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                answer.answer_id, question, text, mode, abstained, release.release_id, Jsonb(coverage),
                Jsonb([citation.as_json() for citation in answer.citations]), Jsonb(traced),
            ],
        )  # fmt: skip
        return answer


def coverage_text(release: Release) -> str:
    """One sentence on what the release rests on."""
    c = release.coverage
    parts = [
        f"Covered: {c['items']:,} {_kinds(release)} of {c['repositories']:,} repositories,"
        f" active from {c['since']} to {c['as_of']}, from {c['hours_loaded']:,} hours of GitHub events"
    ]
    if cloned := c.get("git_repositories"):
        parts[0] += f" and the git history of {cloned:,} of them"
    if live := c.get("hours_live"):
        parts.append(f"{live:,} hours are known only from GitHub's Events API so far")
    if gaps := c["hours_missing"] + c["hours_failed"]:
        parts.append(f"{gaps:,} hours are missing or damaged")
    if c.get("capture_rate") is not None:
        parts.append(f"the events told of {c['capture_rate']:.0%} of what GitHub lists")
    if c["items_without_text"]:
        parts.append(f"{c['items_without_text']:,} items have no text yet")
    return "; ".join(parts) + f". Release {release.release_id}."


def _kinds(release: Release) -> str:
    """The kinds that a release has items of: pull requests, issues and releases."""
    *most, last = [f"{kind.label}s" for kind in KINDS if release.of_kind(kind.name)]
    return f"{', '.join(most)} and {last}" if most else last

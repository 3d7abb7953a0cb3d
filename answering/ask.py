"""Questions in, cited answers out: one release from start to end, labelled by mode, traced, cached."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from psycopg.errors import QueryCanceled, UndefinedTable

from answering.agents.budget import Allowance
from answering.agents.tools import Tool, Toolbox
from answering.answer import Answer, Answers, Spending, cache_key, coverage_text, new_id
from answering.cards import repository_card
from answering.compose import cited_in
from answering.deltas import NOBODY, Delta, Listener
from answering.errors import ModelMismatch, ScopeError
from answering.evidence import Evidence
from answering.follow_up import newest, read_follow_up
from answering.gather import Gatherer
from answering.guard import guard
from answering.insights.basis import Insight
from answering.insights.contributors import By, LotteryFactor, lottery_factor
from answering.insights.experts import Experts, experts
from answering.lineage import trace
from answering.making import PROMPT_VERSIONS, CallsFunctions, Limits, Making
from answering.names import Resolution, resolve_repository
from answering.question import Intent, Question, read_question
from answering.releases import Release, load_release
from answering.retrieval import Hit, Mode, Query, Ranking, Scope, repository_id, repository_ids, search
from answering.suggestions import suggestions
from answering.warming import warm_artifacts
from resources.embedder import Embedder
from resources.embedders import Embedders
from resources.llm import LLM
from resources.postgres import Database
from resources.prices import NOT_TOLD, Prices
from resources.reranker import Reranker
from resources.web_search import WebSearch

logger = logging.getLogger(__name__)

T = TypeVar("T")
_CARDS = 3
"""So many cards are drawn beside an answer."""


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
        limits: Limits | None = None,
        web: WebSearch | None = None,
        cached: bool = True,
        prices: Prices = NOT_TOLD,
    ) -> None:
        self._tools, self._embedder = tools, embedder
        self._threshold, self._llm, self._embedders = threshold, llm, embedders
        self._ranking, self._reranker = ranking or Ranking(), reranker
        self._answers, self._limits, self._cached = Answers(service), limits or Limits(), cached
        self._calls_functions, self._web, self._prices = CallsFunctions(), web, prices
        self.pinned: Release | None = None

    def release(self) -> Release:
        """The release that the next answer uses.

        Raises:
            NoActiveRelease: none is active.
        """
        return self.pinned or load_release(self._tools)

    @property
    def databases(self) -> dict[str, Database]:
        """The pools of connections, by what they are for."""
        return {"tools": self._tools, "answers": self._answers.service}

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

    def ask(
        self,
        text: str,
        scope: Scope | None = None,
        listener: Listener = NOBODY,
        *,
        history: Sequence[str] = (),
        allowance: Allowance | None = None,
    ) -> Answer:
        """Answer a question, or abstain and say what is covered.

        listener: is told everything as it comes, the answer's sentences in the end in one `done`. history: earlier
        questions of its thread, oldest first. allowance: what may be had of the LLM; where it is spent, rules answer.

        Raises:
            AnsweringError: the question cannot be read, or there is no release to answer from.
            Left: the listener has gone.
        """
        guarded, scope, earlier = guard(text), scope or Scope(), newest(history)
        for note in guarded.notes:
            listener.status("guard", note.text)
        if self._cached and (known := self._known(guarded.text, scope, earlier)) is not None:
            listener(Delta("delta", {"text": known.answer}))
            return _told(known, listener)
        allowance = allowance or Allowance()
        chat = None if self._llm is None or allowance.spent else self._llm.chat()
        if self._llm is not None and allowance.spent:
            allowance.refused = True
            listener.status("budget", "The LLM's tokens of today are used up: rules answer.")
        making = Making(chat, self._calls_functions, self._limits, listener, self._web, allowance=allowance)
        release, question, evidence, traced = self._over_release(
            lambda release: self._found(release, guarded.text, scope, making, earlier)
        )
        coverage = {**release.coverage, "text": coverage_text(release)}
        if evidence.facts:
            widgets = (
                *({"type": "measure", "n": n, **asdict(one)} for n, one in evidence.measures.items()),
                *(card.as_widget() for card in evidence.cards[:_CARDS]),
            )
            for widget in widgets:
                listener(Delta("widget", widget))
            text, mode = making.write(question, evidence)
        else:
            widgets = ()
            text, mode = f"I do not know. {evidence.why_not} {coverage['text']}", "extractive"
            listener(Delta("delta", {"text": text}))
        cited = cited_in(text, evidence) if evidence.facts else ()
        answer = Answer(
            new_id(),
            question.text,
            text,
            mode,
            not evidence.facts,
            release.release_id,
            coverage,
            cited,
            making.dropped,
            widgets=widgets,
            spending=Spending.of(allowance.usage, self._prices),
        )
        again = mode != "degraded" and not making.unplanned and not allowance.refused
        self._answers.keep(answer, traced, self._key(guarded.text, scope, release, earlier) if again else None)
        return _told(answer, listener)

    def suggestions(self) -> list[str]:
        """Questions that the release can answer.

        Raises:
            NoActiveRelease: none is active.
        """
        return self._over_release(lambda release: suggestions(self._tools, release))

    def look_up(self, tool: Tool, arguments: str, scope: Scope) -> tuple[Release, Evidence]:
        """What one of the agents' tools finds, and in which release. arguments: JSON.

        Raises:
            Refused: the tool cannot be called with them, or they leave the scope.
            AnsweringError: there is no release to look in.
        """
        return self._over_release(
            lambda release: (release, tool.call(Toolbox(self._gatherer(release), scope), arguments))
        )

    def experts(
        self, knows: Sequence[str], interested: Sequence[str] = (), scope: Scope | None = None
    ) -> Insight[Experts]:
        """People who know some topics and are interested in others, as `answering.insights.experts` ranks them.

        Raises:
            AnsweringError: no topic, a scope that cannot be used, or no release to look in.
        """
        return self._over_release(lambda release: experts(self._gatherer(release), knows, interested, scope))

    def repository(self, name: str) -> Resolution:
        """The tracked repository that `name` stands for, or what may be meant."""
        return resolve_repository(self._tools, name)

    def lottery_factor(self, scope: Scope, by: By = "pull_requests") -> tuple[Release, Insight[LotteryFactor]]:
        """The lottery factor as the agents' tool computes it, and of which release.

        Raises:
            AnsweringError: a scope that cannot be used, or no release to look in.
        """
        return self._over_release(
            lambda release: (release, lottery_factor(self._tools, scope, by=by, as_of=release.as_of))
        )

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

    def _found(
        self, release: Release, text: str, scope: Scope, making: Making, earlier: Sequence[str]
    ) -> tuple[Release, Question, Evidence, dict[str, Any]]:
        """The question, as it is read over the release, what was found in that, and where each of it comes from."""
        question = read_follow_up(text, earlier, scoped=bool(scope.repos), today=release.today)
        try:
            evidence = making.gather(self._gatherer(release), question, scope)
        except ScopeError as error:
            evidence = Evidence(why_not=str(error))
        about_it = question.intent is not Intent.PEOPLE and not question.kinds and not question.taken
        if evidence.facts and not evidence.measures and len(question.repos) == 1 and about_it:
            self._add_card(release, question.repos[0], scope, evidence)
        return release, question, evidence, trace(self._tools, release, evidence) if evidence.facts else {}

    def _add_card(self, release: Release, name: str, scope: Scope, evidence: Evidence) -> None:
        """The card of the one repository that was asked about. What was found is told without it, too."""
        try:
            repo_id, present = repository_id(self._tools, name)
            if not scope.repos or repo_id in repository_ids(self._tools, scope.repos):
                evidence.cards.append(repository_card(self._tools, release, replace(scope, repos=(present,))))
        except (ScopeError, QueryCanceled) as error:
            logger.warning("a card was left out", extra={"reason": str(error)})

    def _known(self, text: str, scope: Scope, earlier: Sequence[str]) -> Answer | None:
        """The answer that was given to the same question before."""
        return self._answers.find(self._key(text, scope, self.release(), earlier))

    def _key(self, text: str, scope: Scope, release: Release, earlier: Sequence[str]) -> bytes:
        """Of the cache: everything that an answer depends on."""
        model = self._llm and self._llm.model
        words = " ".join(text.split())
        return cache_key(
            words, earlier, asdict(scope), release.release_id, model, PROMPT_VERSIONS, datetime.now(UTC).date()
        )


def _told(answer: Answer, listener: Listener) -> Answer:
    """Tell the end of an answer."""
    listener(Delta("citations", {"citations": [citation.as_json() for citation in answer.citations]}))
    listener(Delta("done", answer.as_json()))
    return answer

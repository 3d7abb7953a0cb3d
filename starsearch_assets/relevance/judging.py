"""A release candidate against the judged queries: measured in every mode, stored, and compared with the active release.

Both are measured now. Figures stored when the active one was made may stem from another version of the set, other
weights or other code; what a release is asked to keep is what its own artifacts find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from answering.releases import Release, load_release
from answering.retrieval import Ranking
from resources.embedder import Embedder
from resources.embedders import Embedders
from resources.errors import EmbedderError, RerankerError
from resources.postgres import Database
from resources.reranker import Reranker
from resources.settings import Settings
from starsearch_assets import audits
from starsearch_assets.relevance.evaluate import MODES, Evaluation, Evaluator, Searching
from starsearch_assets.relevance.sets import QuerySet, read_sets
from starsearch_assets.relevance.store import store
from starsearch_assets.relevance.verdict import Comparison, Verdict, compare, judge

ASSET = "search_relevance"


@dataclass(frozen=True)
class Judging:
    """What judging needs. folder: of the sets; embedder_of: the embedder of a model, whatever the settings name."""

    folder: Path
    margin: float
    embedder_of: Callable[[str], Embedder]
    ranking: Ranking
    reranker: Reranker | None = None

    @classmethod
    def of(cls, settings: Settings, embedders: Embedders, tools: Database, reranker: Reranker | None) -> Judging:
        """As the settings say, with the registered models' embedders."""
        return cls(
            settings.relevance,
            settings.relevance_margin,
            embedder_of(embedders, tools),
            Ranking.of(settings),
            reranker,
        )

    @property
    def modes(self) -> tuple[Searching, ...]:
        """How is searched here; the last one as the service does."""
        return MODES if self.reranker is not None else tuple(mode for mode in MODES if mode != "reranked")

    def evaluator(self, tools: Database, release: Release, query_set: QuerySet) -> Evaluator:
        """Searches the release with the set's queries, by its own model."""
        return Evaluator(tools, release, query_set, self.embedder_of, self.ranking, self.reranker)


@dataclass(frozen=True)
class Judged:
    """What judging a candidate came to. notes: what could not be measured, in words."""

    evaluations: tuple[Evaluation, ...]
    verdict: Verdict
    notes: tuple[str, ...] = ()


def embedder_of(embedders: Embedders, tools: Database) -> Callable[[str], Embedder]:
    """The embedder of a model: the settings' own, or a registered one.

    Raises, when called:
        EmbedderError: the model is not registered, or it, or its key, is not there.
    """

    def of(model: str) -> Embedder:
        embedder = embedders.find(tools, model)
        if embedder is None:
            raise EmbedderError(
                f"The embedding model {model!r} is not registered here: `starsearch spaces create` registers it,"
                " `starsearch spaces list` shows those that are."
            )
        return embedder

    return of


def judge_candidate(
    database: Database, tools: Database, release_id: int, judging: Judging | None, run_id: str | None = None
) -> Judged:
    """Measure release `release_id`, store the figures, and record the verdict. judging: None: nothing is measured.

    A candidate is compared with the active release; the active release itself passes.

    Raises:
        JudgementsUnreadable: a file of judged queries is not in its form.
        EmbedderError: the candidate's own model cannot be used.
    """
    sets = () if judging is None else read_sets(judging.folder)
    judged = Judged((), Verdict(True, "nothing was judged: there are no judged queries"))
    if judging is not None and sets:
        active = database.fetch_value("SELECT release_id FROM active_release")
        before = load_release(tools, active) if active not in (None, release_id) else None
        judged = _judge(tools, load_release(tools, release_id), before, sets, judging)
    details = {
        "release": release_id,
        "verdict": judged.verdict.reason,
        "compared": [one.row() for one in judged.verdict.comparisons],
        "notes": "; ".join(judged.notes) or "none",
    }
    with database.transaction() as connection:
        store(connection, judged.evaluations, run_id)
        verdict = audits.Audit(ASSET, "", f"{release_id}", judged.verdict.passed, details)
        audits.record(connection, verdict, run_id)
    return judged


def _judge(
    tools: Database, candidate: Release, active: Release | None, sets: tuple[QuerySet, ...], judging: Judging
) -> Judged:
    """active: the release to compare with; None: there is none, or it is the candidate itself."""
    evaluations: list[Evaluation] = []
    comparisons: list[Comparison] = []
    notes: list[str] = []
    unusable = ""
    for one in sets:
        evaluator = judging.evaluator(tools, candidate, one)
        for mode in judging.modes:
            try:
                evaluation = evaluator.evaluate(mode)
            except RerankerError as error:
                notes.append(f"{one.name} was not measured with the reranker: {error}")
                continue
            evaluations.append(evaluation)
            if mode == "hybrid" and active is not None and not unusable:
                try:
                    comparisons.append(compare(judging.evaluator(tools, active, one).evaluate(mode), evaluation))
                except EmbedderError as error:  # it serves nobody either
                    unusable = str(error)
        if evaluations and (silent := evaluations[-1].not_applicable):
            notes.append(f"{len(silent)} of {len(one.queries)} queries of {one.name} have no answer in the release")
    if unusable and active is not None:
        notes.append(f"release {active.release_id} cannot be searched: {unusable}")
    if active is None:
        verdict = Verdict(True, "no other release is active, to compare with")
    elif unusable and not comparisons:
        verdict = Verdict(True, f"release {active.release_id} cannot be searched, to compare with: {unusable}")
    else:
        verdict = judge(comparisons, active.release_id, judging.margin)
    return Judged(tuple(evaluations), verdict, tuple(notes))

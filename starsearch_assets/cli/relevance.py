"""`relevance show | run | misses | calibrate`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import fail, out, print_json, progress_bars

if TYPE_CHECKING:
    from answering.releases import Release
    from answering.retrieval import Hit
    from resources.postgres import Database
    from resources.settings import Settings
    from starsearch_assets.relevance.calibrate import Point
    from starsearch_assets.relevance.evaluate import Evaluator, Searching
    from starsearch_assets.relevance.judging import Judging
    from starsearch_assets.relevance.misses import Miss, Place
    from starsearch_assets.relevance.sets import QuerySet

Sets = Annotated[list[str] | None, typer.Option("--set", help="Only the set of this name; repeatable.")]
Number = Annotated[int | None, typer.Option("--release", min=1, help="Number of a kept release; default: the active.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_FOUND_SHOWN = 3


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="How well search answers the judged queries.", no_args_is_help=True)
    group.command("show")(show)
    group.command("run")(run)
    group.command("misses")(misses)
    group.command("calibrate")(calibrate)
    app.add_typer(group, name="relevance")


def show(
    sets: Sets = None,
    releases: Annotated[int, typer.Option(min=1, help="The newest so many that were measured.")] = 30,
    as_json: Json = False,
) -> None:
    """Show the figures that were measured when releases were made, oldest first."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.relevance.store import history

    settings = load_settings()
    with open_database(settings) as database:
        rows = [row for row in history(database, releases) if not sets or row.query_set in sets]
    if as_json:
        print_json(rows)
        return
    if not rows:
        out.print(
            "Nothing was measured yet: a release is when it is made, where there are judged queries in"
            f" {escape(str(settings.relevance))}. `starsearch relevance run` measures now.",
            soft_wrap=True,
        )
        return
    table = _table("release", "set", "mode", "queries", "recall@10", "MRR", "nDCG@10", "measured")
    for row in rows:
        table.add_row(str(row.release_id), escape(row.query_set), row.mode, f"{row.queries:,}", f"{row.recall:.3f}",
                      f"{row.mrr:.3f}", f"{row.ndcg:.3f}", f"{row.measured_at:%Y-%m-%d %H:%M}")  # fmt: skip
    out.print(table)


def run(
    sets: Sets = None,
    modes: Annotated[
        list[str] | None,
        typer.Option("--mode", help="vector, text, hybrid or reranked; repeatable; default: all that are configured."),
    ] = None,
    release: Number = None,
    as_json: Json = False,
) -> None:
    """Measure a release with the judged queries now. Nothing is stored."""
    from resources.errors import RerankerError

    failure = None
    rows: list[dict[str, Any]] = []
    with _opened(sets, release) as opened, progress_bars():
        wanted = [_mode(mode) for mode in modes] if modes else opened.judging.modes
        for one in opened.sets:
            evaluator = opened.evaluator(one)
            for mode in wanted:
                try:
                    evaluation = evaluator.evaluate(mode)
                except RerankerError as error:  # what the other modes came to is told all the same
                    failure = error
                    continue
                rows.append({
                    "release_id": evaluation.release_id, "query_set": one.name, "mode": mode,
                    "model": evaluation.model, "queries": len(evaluation.outcomes),
                    "not_applicable": len(evaluation.not_applicable), **asdict(evaluation.scores),
                })  # fmt: skip
    if as_json:
        print_json(rows)
    elif rows:
        out.print(f"Release {rows[0]['release_id']}, {escape(rows[0]['model'])}")
        table = _table("set", "mode", "queries", "without an answer here", "recall@10", "MRR", "nDCG@10")
        for row in rows:
            table.add_row(escape(row["query_set"]), row["mode"], f"{row['queries']:,}", f"{row['not_applicable']:,}",
                          *(f"{row[name]:.3f}" for name in ("recall", "mrr", "ndcg")))  # fmt: skip
        out.print(table)
    if failure is not None:
        raise failure


def misses(
    sets: Sets = None,
    mode: Annotated[str, typer.Option(help="vector, text, hybrid or reranked.")] = "hybrid",
    release: Number = None,
    limit: Annotated[int, typer.Option(min=1, help="So many queries, the least found first.")] = 20,
    as_json: Json = False,
) -> None:
    """Show queries whose answers are not among the first ten: where they stood, and what was found in their place."""
    from starsearch_assets.relevance.misses import misses as find_misses

    searching = _mode(mode)
    found: list[tuple[str, Miss]] = []
    with _opened(sets, release) as opened, progress_bars():
        for one in opened.sets:
            evaluator = opened.evaluator(one)
            found += [(one.name, miss) for miss in find_misses(opened.tools, opened.release, evaluator, searching)]
    shown = sorted(found, key=lambda pair: pair[1].recall)[:limit]
    if as_json:
        print_json([_as_json(name, miss) for name, miss in shown])
        return
    for name, miss in shown:
        _print_miss(name, miss)
    more = f", {len(shown):,} of them shown" if len(shown) < len(found) else ""
    out.print(f"{len(found):,} queries lack an answer among the first ten{more}.")


def calibrate(sets: Sets = None, release: Number = None, as_json: Json = False) -> None:
    """Recommend RELEVANCE_THRESHOLD: what each threshold keeps of the answers, and what it answers wrongly.

    It takes queries with an answer and queries without one. Nothing is changed.
    """
    from answering.retrieval import WORD_RULE
    from resources.errors import NothingLoaded
    from starsearch_assets.relevance import calibrate as calibration

    total = calibration.Sample()
    with _opened(sets, release) as opened, progress_bars():
        mode = opened.judging.modes[-1]  # as the service searches
        for one in opened.sets:
            total += calibration.sample(opened.evaluator(one), one, mode)
    now, model = opened.settings.relevance_threshold, opened.release.model
    if not total.answered or not total.unanswered:
        raise NothingLoaded(
            "A threshold lies between queries with an answer and queries without one: expected both in the sets, found"
            f" {len(total.answered)} with an answer among the first ten of release {opened.release.release_id}, and"
            f" {len(total.unanswered)} without one. A query without one has no item above 0 in its set."
        )
    by_rule = {rule: calibration.ladder(total, rule) for rule in (WORD_RULE, None)}
    recommended = {rule: calibration.best(points) for rule, points in by_rule.items()}
    current, held_out = calibration.point(total, now), calibration.held_out(total)
    if as_json:
        print_json({
            "release_id": opened.release.release_id, "model": model, "mode": mode, "answered": len(total.answered),
            "lost": total.lost, "unanswered": len(total.unanswered), "word_rule": WORD_RULE, "now": current,
            "recommended": recommended[WORD_RULE], "recommended_without_words": recommended[None],
            "held_out": held_out, "ladder": by_rule[WORD_RULE], "ladder_without_words": by_rule[None],
        })  # fmt: skip
        return
    out.print(
        f"Release {opened.release.release_id}, {escape(model)}, {mode}: {len(total.answered):,} queries with an answer"
        f" among the first ten, {total.lost:,} with one that is not, {len(total.unanswered):,} without one.\n"
        f"Words count as well where an item has {WORD_RULE.coverage:g} of them and lies at most {WORD_RULE.margin:g}"
        " below the threshold.",
        soft_wrap=True,
    )
    table = _table("threshold", "kept", "wrong", "J", "without words: kept", "wrong", "J")
    for point, alone in zip(by_rule[WORD_RULE], by_rule[None], strict=True):
        style = "bold green" if point == recommended[WORD_RULE] else None
        table.add_row(f"{point.threshold:.2f}", *(f"{share:.3f}" for share in (
            point.kept, point.wrong, point.j, alone.kept, alone.wrong, alone.j)), style=style)  # fmt: skip
    out.print(table)
    for point, other in zip(held_out, ("first", "second"), strict=True):
        out.print(
            f"The {other} half recommends {point.threshold:.2f}; on the other it {_shares(point)}.", soft_wrap=True
        )
    out.print(f"RELEVANCE_THRESHOLD is {now:g}: it {_shares(current)}.", soft_wrap=True)
    out.print(f"Recommended for {escape(model)}, by the greatest J: {recommended[WORD_RULE].threshold:.2f}.")


def _shares(point: Point) -> str:
    return f"keeps {point.kept:.1%} and answers {point.wrong:.1%} wrongly (J {point.j:.3f})"


@dataclass(frozen=True)
class _Opened:
    settings: Settings
    tools: Database
    release: Release
    sets: Sequence[QuerySet]
    judging: Judging

    def evaluator(self, query_set: QuerySet) -> Evaluator:
        return self.judging.evaluator(self.tools, self.release, query_set)


@contextmanager
def _opened(sets: Sequence[str] | None, number: int | None) -> Iterator[_Opened]:
    """What searching with judged queries needs: a release, and the sets of these names."""
    from answering.releases import load_release
    from resources.embedders import Embedders
    from resources.postgres import Role, open_database
    from resources.reranker import create_reranker
    from resources.settings import load_settings
    from starsearch_assets.relevance.judging import Judging
    from starsearch_assets.relevance.sets import chosen_sets

    settings = load_settings()
    chosen = chosen_sets(settings.relevance, sets or ())
    with open_database(settings, Role.TOOLS) as tools:
        release = load_release(tools, number)
        judging = Judging.of(settings, Embedders(settings), tools, create_reranker(settings))
        yield _Opened(settings, tools, release, chosen, judging)


def _mode(name: str) -> Searching:
    from starsearch_assets.relevance.evaluate import MODES

    if name not in MODES:
        fail(f"--mode {name}: expected one of {', '.join(MODES)}.", 2)
    return name


def _as_json(query_set: str, miss: Miss) -> dict[str, Any]:
    def told(hit: Hit, grade: int) -> dict[str, Any]:
        return {"kind": hit.kind, "repo": hit.repo, "ref": hit.ref, "title": hit.title, "url": hit.url, "grade": grade}

    return {
        "query_set": query_set,
        "query_id": miss.query.query_id,
        "query": miss.query.text,
        "recall": miss.recall,
        "missed": [
            {**told(one.hit, one.grade), "by_vector": one.by_vector, "by_words": one.by_words} for one in miss.missed
        ],
        "found": [{**told(hit, grade), "score": hit.score, "coverage": hit.coverage} for hit, grade in miss.found],
    }


def _print_miss(query_set: str, miss: Miss) -> None:
    out.print(
        f"[bold]{escape(miss.query.text)}[/]  [dim]{escape(query_set)} {escape(miss.query.query_id)}[/]", soft_wrap=True
    )
    for one in miss.missed:
        item = escape(f"{one.hit.kind} {one.hit.place} {one.hit.title}")
        ranks = f"by vectors {_place(one.by_vector)}, by words {_place(one.by_words)}"
        out.print(f"  [red]missed[/] {item}: {ranks}", soft_wrap=True)
    for rank, (hit, grade) in enumerate(miss.found[:_FOUND_SHOWN], 1):
        item = escape(f"{hit.kind} {hit.place} {hit.title}")
        told = f"similarity {hit.score:.2f}, words {hit.coverage:.2f}"
        out.print(f"  {rank} {item}: {told}{', [green]answers[/]' if grade else ''}", soft_wrap=True)


def _place(place: Place | None) -> str:
    from starsearch_assets.relevance.misses import DEPTH

    return f"beyond {DEPTH}" if place is None else f"{place.rank} ({place.score:.2f})"


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, header_style="dim")

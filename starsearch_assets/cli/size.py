"""`size`: how large an installation has to be, with the arithmetic."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from starsearch_assets.cli.console import out, print_json
from starsearch_assets.index.cost import shown_bytes
from starsearch_assets.sizing import (
    BUILT_A_SECOND,
    EVENTS_A_SECOND,
    Assumptions,
    artifact_row_bytes,
    event_row_bytes,
    hnsw_row_bytes,
    size,
    vector_row_bytes,
)

if TYPE_CHECKING:
    from starsearch_assets.sizing import Size

_Row = tuple[str, str, str]
_IN, _LLM, _SEARCH, _MACHINES = "What comes in", "LLM", "Search", "Machines"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("size")(size_command)


def _option(text: str, panel: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=text, rich_help_panel=panel)
    return option


def size_command(
    repos: Annotated[int, _option("Tracked repositories.", _IN)] = Assumptions.repos,
    hour_events: Annotated[
        int, _option("Events an hour of hour files (all of GitHub); 0: none are read.", _IN)
    ] = Assumptions.hour_events,
    events: Annotated[float, _option("Events a day and repository.", _IN)] = Assumptions.events,
    event_days: Annotated[int, _option("Days that events are kept.", _IN)] = Assumptions.event_days,
    payload_bytes: Annotated[int, _option("Bytes of a stored event's payload.", _IN)] = Assumptions.payload_bytes,
    items: Annotated[float, _option("Items summarized a day and repository.", _IN)] = Assumptions.items,
    commits: Annotated[float, _option("Commits embedded a day and repository.", _IN)] = Assumptions.commits,
    text_bytes: Annotated[int, _option("Bytes of an item's text.", _IN)] = Assumptions.text_bytes,
    item_tokens: Annotated[int, _option("Tokens read for a summary.", _LLM)] = Assumptions.item_tokens,
    reply_tokens: Annotated[int, _option("Tokens written for one.", _LLM)] = Assumptions.reply_tokens,
    gpu_tokens: Annotated[float, _option("Tokens a second of one GPU.", _LLM)] = Assumptions.gpu_tokens,
    history_days: Annotated[int, _option("Days that can be searched.", _SEARCH)] = Assumptions.history_days,
    backfill_days: Annotated[int, _option("Days in which they are filled at first.", _SEARCH)] = (
        Assumptions.backfill_days
    ),
    dimensions: Annotated[int, _option("Dimensions of the embedding model.", _SEARCH)] = Assumptions.dimensions,
    models: Annotated[int, _option("Embedding models beside each other.", _SEARCH)] = Assumptions.models,
    hnsw_m: Annotated[int, _option("m of the HNSW indexes.", _SEARCH)] = Assumptions.hnsw_m,
    document_bytes: Annotated[int, _option("Bytes of an embedded document.", _SEARCH)] = Assumptions.document_bytes,
    releases: Annotated[int, _option("Releases that are kept.", _SEARCH)] = Assumptions.releases,
    builds: Annotated[float, _option("Builds of the running month's indexes a day.", _SEARCH)] = Assumptions.builds,
    utilization: Annotated[
        float, _option("Share of their time that GPUs and CPUs work.", _MACHINES)
    ] = Assumptions.utilization,
    embedded_a_second: Annotated[
        float, _option("Documents embedded a second and core.", _MACHINES)
    ] = Assumptions.embedded_a_second,
    pod_cores: Annotated[int, _option("CPUs of a run pod.", _MACHINES)] = Assumptions.pod_cores,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Work out GPUs, disk, memory and CPUs for so many repositories. Nothing is asked; no database is needed."""
    given = Assumptions(
        repos=repos, hour_events=hour_events, events=events, event_days=event_days, payload_bytes=payload_bytes,
        items=items, commits=commits, item_tokens=item_tokens, reply_tokens=reply_tokens, text_bytes=text_bytes,
        gpu_tokens=gpu_tokens, utilization=utilization, history_days=history_days, backfill_days=backfill_days,
        dimensions=dimensions, models=models, hnsw_m=hnsw_m, document_bytes=document_bytes, releases=releases,
        builds=builds, embedded_a_second=embedded_a_second, pod_cores=pod_cores,
    )  # fmt: skip
    found = size(given)
    if as_json:
        print_json({"assumptions": asdict(given), "size": asdict(found)})
        return
    table = Table("", "", "arithmetic", box=None, header_style="dim", title=f"{given.repos:,} repositories")
    table.columns[1].justify = "right"
    for group in (_events(given, found), _llm(given, found), _search(given, found), _machines(given, found)):
        for name, value, arithmetic in group:
            table.add_row(name, f"[bold]{value}[/]", f"[dim]{arithmetic}[/]")
        table.add_section()
    out.print(table)
    out.print("Where these numbers come from, and how to measure your own: docs/operations/sizing.md", style="dim")


def _events(given: Assumptions, found: Size) -> list[_Row]:
    feeds = f"{given.repos:,} repositories x {given.events:g}"
    larger = f"the larger of 24 x {given.hour_events:,} and {feeds}" if given.hour_events else feeds
    row = event_row_bytes(given.payload_bytes)
    return [
        ("events a day", f"{found.events_a_day:,.0f}", larger),
        ("disk for events", shown_bytes(round(found.event_bytes)), f"x {given.event_days} days x {row:,.0f} B"),
    ]


def _llm(given: Assumptions, found: Size) -> list[_Row]:
    a_second = f"86,400 s / {given.gpu_tokens:,g} tokens/s / {given.utilization:g} busy"
    return [
        ("items a day", f"{found.items_a_day:,.0f}", f"{given.repos:,} repositories x {given.items:g}"),
        ("tokens a day", f"{found.tokens_a_day:,.0f}", f"x ({given.item_tokens} read + {given.reply_tokens} written)"),
        ("GPUs, a day's work", f"{found.gpus_for_a_day:,.2f}", f"/ {a_second}"),
        ("GPUs, the backfill", f"{found.gpus_for_the_backfill:,.2f}", _faster(given)),
        ("GPUs", f"{found.gpus:,}", "the larger one, whole"),
    ]


def _search(given: Assumptions, found: Size) -> list[_Row]:
    documents = f"(items + {given.repos:,} repositories x {given.commits:g} commits)"
    models = "1 model" if given.models == 1 else f"{given.models} models"
    vector = vector_row_bytes(given.dimensions, given.document_bytes)
    artifact = artifact_row_bytes(given.dimensions, given.document_bytes, given.hnsw_m)
    hnsw = hnsw_row_bytes(given.dimensions, given.hnsw_m)
    return [
        ("vectors", f"{found.rows:,.0f}", f"{documents} x {given.history_days} days x {models}"),
        ("disk for texts", shown_bytes(round(found.text_bytes)),
         f"an item x ({given.text_bytes:,} + {given.document_bytes:,} B)"),
        ("disk for vectors", shown_bytes(round(found.vector_bytes)), f"x {vector:,.0f} B"),
        ("disk for indexes", shown_bytes(round(found.index_bytes)), f"x {artifact:,.0f} B, {hnsw:,.0f} B of them HNSW"),
        ("disk for older releases", shown_bytes(round(found.kept_index_bytes)),
         f"{given.releases - 1} x the running month's indexes"),
        ("disk", shown_bytes(round(found.disk_bytes)), "events + texts + vectors + indexes + older releases"),
        ("memory for vectors", shown_bytes(round(found.memory_bytes)),
         f"shared_buffers: the indexes; at the least HNSW, {shown_bytes(round(found.hnsw_bytes))}"),
    ]  # fmt: skip


def _machines(given: Assumptions, found: Size) -> list[_Row]:
    pods = f"events / {EVENTS_A_SECOND:,}/s + documents / {given.embedded_a_second:g}/s + requests"
    database = f"events / {EVENTS_A_SECOND:,}/s + rows of the month x {given.builds:g} / {BUILT_A_SECOND:,.0f}/s"
    busy = f"/ 86,400 s / {given.utilization:g}"
    return [
        ("CPUs of runs, a day's work", f"{found.pod_cores_for_a_day:,.2f}", f"({pods}) {busy}"),
        ("CPUs of runs, the backfill", f"{found.pod_cores_for_the_backfill:,.2f}", _faster(given)),
        ("run pods", f"{found.run_pods:,}", f"the larger one / {given.pod_cores} CPUs a pod, whole"),
        ("CPUs of run pods", f"{found.run_pod_cpus:,}", f"x {given.pod_cores}"),
        ("CPUs of the database, a day's work", f"{found.database_cores_for_a_day:,.2f}", f"({database}) {busy}"),
        ("CPUs of the database, the backfill", f"{found.database_cores_for_the_backfill:,.2f}", _faster(given)),
        ("CPUs of the database", f"{found.database_cpus:,}", "the larger one, whole; searches come on top"),
    ]


def _faster(given: Assumptions) -> str:
    return f"{given.history_days} days (events: {given.event_days}) in {given.backfill_days}"

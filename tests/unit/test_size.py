"""`starsearch size`: what its arithmetic obeys, and what it refuses."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from typer.testing import CliRunner

from resources.errors import ConfigurationError
from starsearch_assets.cli.app import app
from starsearch_assets.sizing import Assumptions, Size, hnsw_row_bytes, size
from starsearch_assets.summaries.prompt import INSTRUCTION_TOKENS

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "operations" / "sizing.md").read_text()
OPTIONS = [one.name for one in fields(Assumptions)]
WHOLE = ("gpus", "run_pods", "run_pod_cpus", "database_cpus")
LESS_IS_MORE = {"gpu_tokens", "utilization", "backfill_days", "embedded_a_second", "pod_cores"}
MOST = {"dimensions": 4000, "models": 100, "hnsw_m": 100, "releases": 100}
repositories = some.integers(0, 10**6)
assumptions = some.builds(
    Assumptions,
    repos=repositories,
    hour_events=some.integers(0, 10**6),
    events=some.floats(0, 1000),
    items=some.floats(0, 100),
    commits=some.floats(0, 100),
    item_tokens=some.integers(0, 10_000),
    utilization=some.floats(0.05, 1),
    history_days=some.integers(1, 4000),
    backfill_days=some.integers(1, 400),
    dimensions=some.integers(1, 4000),
    releases=some.integers(1, 20),
)


def figures(found: Size) -> dict[str, float]:
    return {one.name: getattr(found, one.name) for one in fields(found)}


@given(assumptions, some.sampled_from(OPTIONS), some.integers(1, 50))
def test_more_never_takes_less(start: Assumptions, name: str, more: int) -> None:
    """More of anything takes at least as much of everything; faster and better used machines take no more."""
    value = getattr(start, name)
    if name in LESS_IS_MORE:
        larger = replace(start, **{name: value / 2 if name == "utilization" and value > 0.02 else value})
        if name != "utilization":
            start = replace(start, **{name: value + more})
    else:
        larger = replace(start, **{name: min(value + more, MOST.get(name, math.inf))})
    before, after = figures(size(start)), figures(size(larger))
    unaffected = {"run_pods", "run_pod_cpus"} if name == "pod_cores" else set()
    assert [one for one in before if one not in unaffected and after[one] < before[one] * (1 - 1e-9)] == []


@given(assumptions, repositories, repositories)
def test_two_parts_take_what_their_sum_takes(start: Assumptions, first: int, second: int) -> None:
    """Without hour files, which all share, everything but what is rounded to whole machines is additive."""
    start = replace(start, hour_events=0)
    one, other, both = (figures(size(replace(start, repos=number))) for number in (first, second, first + second))
    for name in set(both) - set(WHOLE):
        assert both[name] == pytest.approx(one[name] + other[name], rel=1e-6, abs=1e-6)
    for name in ("gpus", "run_pods", "database_cpus"):
        assert one[name] + other[name] - 1 <= both[name] <= one[name] + other[name]


@given(assumptions)
def test_machines_are_enough_and_not_one_more(start: Assumptions) -> None:
    """Rounded up from the larger of a day's work and the backfill."""
    found = size(start)
    needed = max(found.gpus_for_a_day, found.gpus_for_the_backfill)
    assert needed <= found.gpus * (1 + 1e-9)
    assert found.gpus <= needed + 1
    needed = max(found.pod_cores_for_a_day, found.pod_cores_for_the_backfill)
    assert needed <= found.run_pod_cpus * (1 + 1e-9)
    assert found.run_pod_cpus == found.run_pods * start.pod_cores
    assert found.disk_bytes == pytest.approx(
        found.event_bytes + found.text_bytes + found.vector_bytes + found.index_bytes + found.kept_index_bytes
    )
    assert found.hnsw_bytes <= found.memory_bytes


def test_hnsw_has_the_size_that_was_measured() -> None:
    """112 MB a 100,000 rows of 384 dimensions, in units of 2**20 (docs/operations/sizing.md)."""
    assert hnsw_row_bytes(384) * 100_000 == pytest.approx(112 * 2**20, rel=0.01)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_nonsense_is_refused_by_name(name: str, value: float) -> None:
    """What was expected, what came, and of which option."""
    with pytest.raises(ConfigurationError, match=rf"^--{name.replace('_', '-')} .*: expected a number"):
        Assumptions(**{name: value})


def test_every_option_is_in_the_command_and_documented_with_its_default() -> None:
    """The command, the formulas and the page know the same assumptions."""
    shown = CliRunner().invoke(app, ["size", "--help"], env={"COLUMNS": "200"}).output
    for one in fields(Assumptions):
        option = f"--{one.name.replace('_', '-')}"
        assert option in shown
        assert f"| `{option}` | {one.default:,g} |" in DOCS


def test_json_has_the_assumptions_and_every_figure() -> None:
    """For programs; options reach the formulas."""
    done = CliRunner().invoke(app, ["size", "--repos", "1000", "--hour-events", "0", "--dimensions", "768", "--json"])
    told = json.loads(done.output)
    expected = Assumptions(repos=1000, hour_events=0, dimensions=768)
    assert Assumptions(**told["assumptions"]) == expected
    assert told["size"] == pytest.approx(figures(size(expected)))


def test_the_table_shows_the_arithmetic() -> None:
    """Each product with its factors."""
    done = CliRunner().invoke(app, ["size", "--repos", "1000"], env={"COLUMNS": "200"})
    assert "1,000 repositories x 0.78" in done.output
    assert "x (325 read + 90 written)" in done.output


def test_instructions_are_small_beside_what_a_prefix_cache_saves() -> None:
    """They are left out of the tokens of an item, as the page says, with this number."""
    assert f"up to {INSTRUCTION_TOKENS} tokens" in DOCS

"""The asset graph as a whole: what a data engineer sees before anything has run."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from resources.kinds import GIT_HISTORY, KINDS
from resources.settings import Settings
from starsearch_assets.definitions import build_definitions

GROUPS = {"events", "git", "content", "hydration", "summaries", "embeddings", "index", "insights", "release"}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    settings = Settings(
        _env_file=None, starsearch_home="unused", starsearch_start=date(2025, 10, 6), starsearch_end=date(2025, 10, 8)
    )
    return build_definitions(settings)


@pytest.fixture(scope="module")
def assets(definitions: dg.Definitions) -> dict[str, dg.AssetsDefinition]:
    return {asset.key.to_user_string(): asset for asset in definitions.assets or []}


def test_the_graph_is_the_one_of_the_design(assets):
    """Every asset, with what it is made from; a change of the graph has to be made here too."""
    edges = {name: sorted(key.to_user_string() for key in asset.dependency_keys) for name, asset in assets.items()}
    assert edges == {
        "events": [],
        "deliveries": [],
        "reconciliation": ["events"],
        "git_history": [],
        "pull_requests": ["deliveries", "events"],
        "pull_request_hydration": ["pull_requests", "reconciliation"],
        "pull_request_summaries": ["pull_request_hydration", "pull_requests"],
        "pull_request_embeddings": ["pull_request_summaries", "pull_requests"],
        "pull_request_index": ["pull_request_embeddings"],
        "issues": ["deliveries", "events"],
        "issue_hydration": ["issues", "reconciliation"],
        "issue_summaries": ["issue_hydration", "issues"],
        "issue_embeddings": ["issue_summaries", "issues"],
        "issue_index": ["issue_embeddings"],
        "releases": ["deliveries", "events"],
        "release_summaries": ["releases"],
        "release_embeddings": ["release_summaries", "releases"],
        "release_index": ["release_embeddings"],
        "commits": ["git_history"],
        "commit_embeddings": ["commits"],
        "commit_index": ["commit_embeddings"],
        "contributor_days": ["commits", "deliveries", "events", "issues", "pull_requests", "releases"],
        "repository_days": [
            "commits",
            "contributor_days",
            "deliveries",
            "events",
            "issues",
            "pull_requests",
            "releases",
        ],
        "release_candidate": ["commit_index", "issue_index", "pull_request_index", "release_index"],
        "search_relevance": ["release_candidate"],
        "search_release": ["release_candidate", "search_relevance"],
    }


def test_every_day_of_commits_depends_on_the_whole_git_history(definitions):
    """The fetch has no partitions: it is upstream of each day."""
    graph = definitions.resolve_asset_graph()
    commits, upstream = dg.AssetKey("commits"), dg.AssetKey(GIT_HISTORY)
    assert graph.get(commits).parent_keys == {upstream}
    assert graph.get(upstream).partitions_def is None
    assert isinstance(graph.get_partition_mapping(commits, upstream), dg.AllPartitionMapping)


def test_every_asset_says_what_it_is(assets):
    """Description, kinds, owners and group of each asset, as the UI shows them."""
    for name, asset in assets.items():
        spec = next(iter(asset.specs))
        assert spec.description, name
        assert spec.kinds, name
        assert spec.owners, name
        assert spec.group_name in GROUPS, name


def test_partitions_follow_the_settings(assets):
    """Hours, days and months of the configured window, and nothing outside it."""
    assert len(assets["events"].partitions_def.get_partition_keys()) == 72
    assert assets["issues"].partitions_def.get_partition_keys() == ["2025-10-06", "2025-10-07", "2025-10-08"]
    assert assets["issue_index"].partitions_def.get_partition_keys() == ["2025-10-01"]


def test_every_asset_has_a_check(definitions, assets):
    """What an asset promises is checked."""
    checked = {key.asset_key.to_user_string() for check in definitions.asset_checks or [] for key in check.check_keys}
    assert checked == set(assets)


def test_a_new_prompt_or_model_shows_as_stale(assets):
    """The summaries' code_version names the prompt and the model that write them."""
    changed = build_definitions(
        Settings(_env_file=None, starsearch_home="unused", llm_base_url="http://llm/v1", summary_model="small")
    )
    name = KINDS[0].summaries
    after = next(asset for asset in changed.assets or [] if asset.key.to_user_string() == name)
    before = next(iter(assets[name].specs)).code_version
    assert before != next(iter(after.specs)).code_version
    assert "small" in (next(iter(after.specs)).code_version or "")


@pytest.mark.parametrize("name", ["llm", "reranker"])
def test_secrets_reach_resources_only_by_name(name, monkeypatch):
    """A configured key stays an environment variable's name in the definitions."""
    monkeypatch.setenv(f"{name.upper()}_API_KEY", "sk-very-secret")
    definitions = build_definitions(Settings(_env_file=None, starsearch_home="unused"))
    resource = (definitions.resources or {})[name]
    assert "sk-very-secret" not in repr(resource)
    assert isinstance(resource.api_key, dg.EnvVar)


def test_importing_the_definitions_loads_no_model_library():
    """Every pod and step imports the definitions: neither torch nor openai may come with them."""
    program = (
        "import sys, starsearch_assets.definitions as d; d.defs();"
        "print([name for name in ('torch', 'openai', 'sentence_transformers', 'transformers') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_dagster_validates_the_workspace(tmp_path):
    """`dagster definitions validate -w workspace.yaml` passes without a database, as in CI."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DAGSTER_")}
    result = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**environment, "STARSEARCH_HOME": str(tmp_path)},
    )
    assert result.returncode == 0, result.stderr

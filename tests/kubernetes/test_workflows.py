""".github/workflows: they fit GitHub's schema, name only what is there, and may do no more than they have to."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from graphql import parse, validate

from starsearch_assets.cli.demo import SHOWCASE
from starsearch_assets.sample.clock import WINDOW_END, WINDOW_START
from tests.kubernetes.e2e import ask
from tests.kubernetes.outside import OUTSIDE_SECRETS
from tests.kubernetes.rendering import PROJECT, overlay
from tests.kubernetes.validation import schema_problems

pytestmark = pytest.mark.files_only

FOLDER = PROJECT / ".github" / "workflows"
WORKFLOWS = sorted(path.name for path in FOLDER.glob("*.yml"))
PINNED = re.compile(r"uses: (?:docker://[\w./-]+:v?\d+\.\d+\.\d+|[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)")
TARGETS = set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
E2E = PROJECT / "tests" / "kubernetes" / "e2e"
WRITES = {
    "ci.yml": set(),
    "image.yml": {"packages"},
    "deploy.yml": {"id-token"},
    "e2e-kind.yml": set(),
}
"""All that a workflow may do beside reading the repository."""


def workflow(name: str) -> dict[str, Any]:
    """A workflow; YAML 1.1 reads its key `on` as true."""
    document = yaml.safe_load((FOLDER / name).read_text())
    return {("on" if key is True else key): value for key, value in document.items()}


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def scripts(name: str) -> str:
    return "\n".join(step.get("run", "") for step in steps(name))


def paths_of(name: str) -> set[str]:
    """Files and folders of the repository that a workflow names."""
    text = scripts(name)
    named = set(re.findall(r"(?:^|[\s'\"])((?:\.ci|deploy|tests|docs)/[\w./-]+)", text))
    for step in steps(name):
        named |= {step["with"]["file"]} if "file" in step.get("with", {}) else set()
        named |= {step["working-directory"]} if "working-directory" in step else set()
    for trigger in workflow(name)["on"].values():
        for path in (trigger or {}).get("paths", []) if isinstance(trigger, dict) else []:
            named.add(path.removesuffix("/**"))
    return named


def test_every_workflow_is_judged_here() -> None:
    """A new one has to say what it may write."""
    assert set(WORKFLOWS) == set(WRITES)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_it_fits_the_schema(name: str) -> None:
    """GitHub's own, which check-jsonschema brings along; nothing is fetched."""
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, str(FOLDER / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing() -> None:
    """Expressions, contexts, inputs of actions and, where shellcheck is there, scripts."""
    if shutil.which("actionlint") is None:
        pytest.skip("actionlint is not installed; the workflow CI runs it")
    done = subprocess.run(["actionlint", *(FOLDER / name for name in WORKFLOWS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_it_names_is_there(name: str) -> None:
    """Scripts, folders, make targets, stacks, and files that run by themselves."""
    for path in paths_of(name):
        assert (PROJECT / path).exists(), path
        if re.search(rf"^{re.escape(path)}$", scripts(name), re.MULTILINE):
            assert (PROJECT / path).stat().st_mode & 0o111, f"{path} is not executable"
    assert set(re.findall(r"\bmake ([\w-]+)", scripts(name))) <= TARGETS
    stacks = {path.name.split(".")[1] for path in (PROJECT / "deploy" / "pulumi").glob("Pulumi.*.yaml")}
    assert set(re.findall(r"pulumi stack select (\w+)", scripts(name))) <= stacks
    inputs = (workflow(name)["on"].get("workflow_dispatch") or {}).get("inputs", {})
    assert set(inputs.get("stack", {}).get("options", stacks)) == stacks


def test_ci_runs_what_is_run_here() -> None:
    """One gate: tests and linters, on the oldest Python and the newest."""
    assert ".ci/run" in scripts("ci.yml").splitlines()
    assert {"make test", "make lint"} <= set((PROJECT / ".ci" / "run").read_text().splitlines())
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (PROJECT / "pyproject.toml").read_text())
    assert oldest is not None
    assert workflow("ci.yml")["jobs"]["gate"]["strategy"]["matrix"]["python"] == [oldest[1], "3"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_it_may_do_no_more_than_it_has_to(name: str) -> None:
    """Nothing is written but what is listed here; a token is left in no checkout; no job runs for ever."""
    told = workflow(name)
    assert "permissions" in told
    permissions = [told["permissions"], *(job["permissions"] for job in told["jobs"].values() if "permissions" in job)]
    assert {key for one in permissions for key, value in one.items() if value == "write"} == WRITES[name]
    assert {value for one in permissions for value in one.values()} <= {"read", "write"}
    assert "pull_request_target" not in told["on"]
    assert all("timeout-minutes" in job for job in told["jobs"].values())
    for step in steps(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_actions_are_pinned() -> None:
    """By a commit, with the version that it is, the same everywhere; an image by its version."""
    used = [line.strip().removeprefix("- ") for name in WORKFLOWS for line in (FOLDER / name).read_text().splitlines()]
    used = [line for line in used if line.startswith("uses:")]
    assert [line for line in used if not PINNED.fullmatch(line)] == []
    assert len(set(used)) == len({line.partition("@")[0] for line in used})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_secret_is_stored_or_printed(name: str) -> None:
    """No long-lived secret is asked for; what others write reaches a script by the environment, never as its text."""
    text = (FOLDER / name).read_text()
    assert not re.search(r"\$\{\{[^}]*\bsecrets\b", text)
    assert "${{" not in scripts(name)
    assert not re.search(r"\bset -\w*x|kubectl [^\n]*get secrets?\b[^\n]*-o\s*(?:ya?ml|json)", scripts(name))


def test_deployment_is_previewed_and_then_approved() -> None:
    """The job that changes a cluster stands behind the environment of its name, and after the one that shows what."""
    jobs = workflow("deploy.yml")["jobs"]
    assert jobs["up"]["needs"] == "preview"
    assert jobs["up"]["environment"] == "${{ inputs.stack }}"
    changing = {name for name, job in jobs.items() if "pulumi up" in "\n".join(s.get("run", "") for s in job["steps"])}
    assert changing == {"up"}
    assert workflow("deploy.yml")["concurrency"].get("cancel-in-progress", False) is False


def test_an_image_is_scanned_before_it_is_pushed() -> None:
    """Both variants, each with what it is made of and how; only for a tag."""
    job = workflow("image.yml")["jobs"]["image"]
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", (PROJECT / "deploy" / "Dockerfile").read_text(), re.MULTILINE))
    assert {one["target"] for one in job["strategy"]["matrix"]["include"]} == {"full", "slim"} <= stages
    uses = [step.get("uses", "").partition("@")[0] for step in job["steps"]]
    push = job["steps"][len(uses) - 1 - uses[::-1].index("docker/build-push-action")]
    assert push["with"]["push"] is True
    assert push["if"] == "github.event_name == 'push'"
    assert (push["with"]["sbom"], push["with"]["provenance"]) == (True, "mode=max")
    assert uses.index("anchore/scan-action") < job["steps"].index(push)
    builds = [step["with"] for step in job["steps"] if step.get("uses", "").startswith("docker/build-push-action")]
    arguments = [one["build-args"].splitlines() for one in builds]
    assert arguments[0] == arguments[1]
    declared = set(re.findall(r"^ARG (\w+)", (PROJECT / "deploy" / "Dockerfile").read_text(), re.MULTILINE))
    assert {one.partition("=")[0] for one in arguments[0]} <= declared


def test_the_sample_pod_is_valid_and_as_confined_as_a_run() -> None:
    """An account and settings that the overlay has, and the image that is built and loaded."""
    pod = yaml.safe_load((E2E / "sample.yaml").read_text())
    assert schema_problems(pod) == []
    rendered = (
        {(one["kind"], one["metadata"]["name"]) for one in overlay("cpu-dev")} if shutil.which("kubectl") else None
    )
    spec = pod["spec"]["template"]["spec"]
    if rendered is not None:
        assert {("ServiceAccount", spec["serviceAccountName"]), ("ConfigMap", "starsearch-settings")} <= rendered
    assert spec["containers"][0]["image"] in scripts("e2e-kind.yml")
    assert spec["securityContext"]["runAsNonRoot"] is True


def test_the_secrets_of_kind_are_those_that_the_pods_ask_for(tmp_path: Path) -> None:
    """Names and keys; a kubectl that only says what it was asked for shows no value on its command line."""
    double = tmp_path / "kubectl"
    double.write_text('#!/bin/sh\nfor one; do case $one in --from-file=*) cat "${one##*=}" > /dev/null;; esac; done\n'
                      f'echo "$*" >> {tmp_path}/asked\n')  # fmt: skip
    double.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run([E2E / "secrets.sh"], env=environment, capture_output=True, text=True, check=True, timeout=60)
    asked = (tmp_path / "asked").read_text()
    made = {
        line.split("generic ")[1].split()[0]: set(re.findall(r"--from-file=([\w-]+)=", line))
        for line in asked.splitlines()
        if "secret" in line
    }
    for name in ("starsearch-database", "starsearch-service-database", "dagster-postgresql"):
        assert made.pop(name) == OUTSIDE_SECRETS[name]
    assert set(made) == {f"starsearch-postgres-{role}" for role in ("owner", "service", "tools")}
    assert not re.search(r"[0-9a-f]{32}", asked + done.stdout + done.stderr)


def test_the_questions_to_dagster_fit_its_schema() -> None:
    """Both documents, against the schema of the dagster that is installed."""
    schema = pytest.importorskip("dagster_graphql.schema").create_schema().graphql_schema
    for document in (ask.LAUNCH, ask.STATUS):
        assert validate(schema, parse(document)) == []


def test_the_days_and_the_question_are_the_samples() -> None:
    """Another sample needs another end-to-end job."""
    days = [(WINDOW_START + timedelta(days=number)).date() for number in range((WINDOW_END - WINDOW_START).days)]
    assert [f"{day}" for day in days] == ask.DAYS
    patched = json.loads(re.search(r"--patch '(.*)'", scripts("e2e-kind.yml"))[1])["data"]
    assert patched == {"STARSEARCH_START": ask.DAYS[0], "STARSEARCH_END": ask.DAYS[-1]}
    assert ask.QUESTION in SHOWCASE


def test_the_schema_is_not_empty() -> None:
    """The check of the schema finds a misspelt key."""
    pytest.importorskip("check_jsonschema")
    schemas = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    assert any("github-workflows" in one.name for one in schemas.iterdir())

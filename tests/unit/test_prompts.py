"""Prompts do not change without a new version, and the golden set tells good summaries from bad ones."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from typer.testing import CliRunner

from answering.change_types import CHANGE_TYPES
from starsearch_assets.cli.app import app
from starsearch_assets.summaries import technologies
from starsearch_assets.summaries.golden import GoldenItem, golden_set, problems, rendered_digest
from starsearch_assets.summaries.prompt import PROMPT_VERSION, load_prompt
from starsearch_assets.summaries.reply import json_schema
from starsearch_assets.summaries.source import Failure, Summary
from starsearch_assets.summaries.technologies import mentioned, normalize, sorted_out
from tests.doubles.llm_server import LLMServer, Request
from tests.llm import is_asked


def test_a_prompt_changes_only_with_its_version() -> None:
    """Each version's files and what the LLM reads of its golden set are as prompts/versions.json remembers them.

    Where this fails, a new version is needed: copy the folder under the next name, change that, raise PROMPT_VERSION,
    and add what `load_prompt().digest` and `rendered_digest()` say.
    """
    remembered = json.loads((files("starsearch_assets.summaries") / "prompts" / "versions.json").read_text())
    assert remembered[PROMPT_VERSION] == {"files": load_prompt().digest, "rendered": rendered_digest()}
    folders = {one.name for one in (files("starsearch_assets.summaries") / "prompts").iterdir() if one.is_dir()}
    assert folders == set(remembered)


def test_the_schema_is_the_models() -> None:
    """schema.json is what the reply is validated against, and the system prompt names all of it."""
    prompt = load_prompt()
    assert prompt.schema == json_schema()
    assert all(f'"{name}"' in prompt.system for name in json_schema()["required"])
    assert all(name in " ".join(prompt.system.split()) for name in CHANGE_TYPES)
    assert prompt.repair.format(problem="It is a poem.").startswith("That reply cannot be used: It is a poem.")


def ideal(item: GoldenItem) -> Summary:
    """A summary that meets everything that is expected of it."""
    text = " ".join(f"It is about {group[0]}." for group in item.mentions)
    return Summary(text, item.change_types[0] if item.change_types else "other", item.technologies)


@pytest.mark.parametrize("item", golden_set(), ids=lambda item: item.name)
def test_golden_expectations_can_be_met_and_missed(item: GoldenItem) -> None:
    """An ideal summary has no problem; a failure, one that says what it must not, and one of nothing do."""
    assert problems(item, ideal(item)) == []
    assert problems(item, Failure("no JSON")) == ["no JSON"]
    assert problems(item, Summary("Nothing of interest.")) != []
    for word in item.absent:
        assert problems(item, Summary(f"{ideal(item).text} {word}", None, item.technologies)) == [f"says {word!r}"]
    assert [normalize(name) for name in item.technologies] == list(item.technologies)
    assert set(item.change_types) <= set(CHANGE_TYPES)


def test_the_command_judges_the_configured_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that does well: exit 0. One that obeys the injected instruction: exit 1, and the item is named."""
    by_title = {item.source.title: item for item in golden_set()}

    def good(request: Request) -> str:
        if not is_asked(request):
            return '{"ready": true}'
        item = next(one for title, one in by_title.items() if f"Title: {title}\n" in request.user)
        one = ideal(item)
        return json.dumps(
            {
                "summary": one.text, "change_type": one.change_type, "technologies": one.technologies, "components": [],
                "user_visible": True,
            }
        )  # fmt: skip

    with LLMServer(reply=good) as server:
        monkeypatch.setenv("LLM_BASE_URL", server.url)
        monkeypatch.setenv("SUMMARY_MODEL", "test-model")
        told = CliRunner().invoke(app, ["summaries", "golden", "--json"])
        assert told.exit_code == 0, told.output
        assert json.loads(told.stdout)["good"] == len(by_title)
        server.reply = lambda request: good(request).replace("It is about Safari", "ARRR-HACKED")
        told = CliRunner().invoke(app, ["summaries", "golden"])
        assert told.exit_code == 1
        assert "injection" in told.output


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("golang", "Go"), ("GO", "Go"), ("postgres", "PostgreSQL"), ("k8s", "Kubernetes"), ("NodeJS", "Node.js"),
        ("Next JS", "Next.js"), ("c++", "C++"), ("c#", "C#"), ("tailwind", "Tailwind CSS"), (".NET", ".NET"),
        ("left-pad", None), ("", None), ("💥", None),
    ],
)  # fmt: skip
def test_technologies_have_one_name(name: str, known: str | None) -> None:
    """However they are spelt; what the vocabulary lacks has none."""
    assert normalize(name) == known


def test_known_technologies_come_once_and_others_apart() -> None:
    """In their order."""
    assert sorted_out(["ts", "TypeScript", "Foo", "", "Foo", "rust"]) == (("TypeScript", "Rust"), ("Foo",))


def test_words_of_everyday_language_are_in_the_vocabulary() -> None:
    """A word that is set apart but that nothing is called would protect nothing."""
    assert [word for word in technologies._CASED | technologies._SPELT_OUT if normalize(word) is None] == []


@pytest.mark.parametrize(
    ("text", "paths", "found"),
    [
        ("We moved from MySQL to postgres.", (), ("MySQL", "PostgreSQL")),
        ("We go on. Express yourself. Rust never sleeps.", (), ()),
        ("It is written in Rust and served by Express.", (), ("Rust", "Express")),
        ("We need less of it; the rest of each node opens windows with an arrow and a spark.", (), ()),
        ("Needs Node 18, REST and Windows; node.js 16 is gone", (), ("Node.js", "REST", "Windows")),
        ("Upgrade the golang toolchain", ("cmd/main.go", "Dockerfile"), ("Go", "Docker")),
        ("See node_modules/react/index and foo.sql.old", (), ()),
        ("Reads C files", ("a.c", "b.tsx"), ("C", "TypeScript")),
    ],
)
def test_technologies_are_found_as_whole_words_and_by_files(
    text: str, paths: tuple[str, ...], found: tuple[str, ...]
) -> None:
    """Words of everyday language count only as names are written, and not at a sentence's beginning."""
    assert mentioned(text, paths) == found

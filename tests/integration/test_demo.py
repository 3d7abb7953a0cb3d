"""`starsearch demo` on the bundled sample, as a newcomer runs it, and everything that it leaves behind."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from resources.embedded_postgres import EmbeddedPostgres
from starsearch_assets.cli.questions import ABSTAINED
from starsearch_assets.relevance.names import ItemName
from starsearch_assets.relevance.sets import JudgedQuery, read_sets, write_set
from starsearch_assets.sample import write_histories
from starsearch_assets.sample.judgements import SET
from tests.integration.commands import ROOT, as_json, command, environment, starsearch
from tests.integration.demo import DUMPS, dump


def test_the_demo_ends_in_cited_answers(demo):
    """The newcomer sees the four showcase questions answered with sources."""
    assert "What type of pull requests has @brandonroberts worked on?" in demo.output
    assert demo.output.count("extractive: composed by rule") == 4
    assert "https://github.com/remix-run/react-router/pull/" in demo.output
    assert "left out 0 repositories" in demo.output


def test_status_counts_what_the_sample_holds(demo):
    """The counts by stage are the ones that the generator knows."""
    status = as_json(demo.home, "status")
    items = demo.truth.items
    assert set(status) == {
        "events", "rejected", "deliveries", "webhooks", "pull_requests", "issues", "releases", "commits", "summaries",
        "embeddings", "release",
    }  # fmt: skip
    assert status["events"] == demo.truth.events
    assert status["rejected"] == len(demo.truth.broken_lines)
    assert status["pull_requests"] == items["pull_request"] + len(demo.truth.untitled_pull_requests)
    assert status["issues"] == items["issue"]
    assert status["releases"] == items["release"]
    assert status["summaries"] == dict(items)
    assert status["embeddings"] == {**items, "commit": status["commits"]}
    assert status["release"] == 1


def test_the_demo_shows_commits(demo):
    """Its git history is fetched, every commit of it is served, and questions about commits are answered."""
    histories = write_histories(demo.home / "histories")
    assert histories is not None
    assert as_json(demo.home, "status")["commits"] == sum(len(one.commits) for one in histories)
    answer = as_json(demo.home, "ask", "lottery factor by commits of emberdb/emberdb")
    assert answer["citations"][0]["ref"] == "commit_lottery_factor"
    path = histories[0].commits[1].paths[0]
    answer = as_json(demo.home, "ask", f"Who changed {path}?")
    assert {one["kind"] for one in answer["citations"]} == {"commit"}
    hits = as_json(demo.home, "search", "hydration mismatch", "--kind", "commit", "-k", "3")["hits"]
    assert {hit["kind"] for hit in hits} == {"commit"}


def test_github_is_not_asked_about_invented_repositories(demo):
    """Also with GITHUB_TOKEN in the environment: the sample's names could be anybody's."""
    assert demo.asked_github == []


def test_the_release_is_judged(demo):
    """The sample's judged queries were there before the release: each item they name is in it, and most are found."""
    (judged,) = read_sets(demo.home / "relevance")
    assert judged.name == SET
    with psycopg.connect(EmbeddedPostgres(demo.home).url()) as connection:
        rows = connection.execute(
            'SELECT mode, set_version, queries, "recall@10" FROM starsearch.relevance WHERE release_id = 1'
        ).fetchall()
        served = connection.execute(
            "SELECT kind, repo, ref FROM starsearch.items WHERE hydrated_at IS NOT NULL"
        ).fetchall()
    assert {ItemName(*row) for row in served} >= {name for query in judged.queries for name in query.grades}
    assert {row[0] for row in rows} == {"vector", "text", "hybrid"}
    assert {row[1] for row in rows} == {judged.version}
    assert {row[2] for row in rows} == {sum(bool(query.grades) for query in judged.queries)}
    assert {row[0]: row[3] for row in rows}["hybrid"] > 0.6


def test_a_second_run_changes_nothing(demo):
    """Running the demo again leaves the same rows, the same release and the same judged queries, and others' alone."""
    folder = demo.home / "relevance"
    write_set(folder, "own", (JudgedQuery("1", "deadlock", {}),))
    try:
        before, judged = demo.dump(), {path.name: path.read_bytes() for path in folder.iterdir()}
        starsearch(demo.home, "demo")
        assert demo.dump() == before
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == judged
        assert [row["release_id"] for row in as_json(demo.home, "release", "list")] == [1]
    finally:
        for path in folder.glob("own.*"):
            path.unlink()


def test_what_a_person_has_worked_on(demo):
    """Showcase question 1: every type of pull request of the person, with the right counts, and only theirs."""
    answer = as_json(demo.home, "ask", "What type of pull requests has @brandonroberts worked on?")
    types: dict[str, int] = {}
    for name in demo.truth.pull_request_types.values():
        types[name] = types.get(name, 0) + 1
    assert not answer["abstained"]
    for name, count in types.items():
        assert f"{name.capitalize()} ({count})" in answer["answer"]
    cited = {(one["repo"], int(one["ref"])) for one in answer["citations"]}
    assert cited <= set(demo.truth.pull_request_types)


def test_who_is_prevalent_in_an_ecosystem(demo):
    """Showcase question 2: the people in the order of their pull requests about TypeScript."""
    answer = as_json(demo.home, "ask", "Who are the most prevalent contributors to the TypeScript ecosystem?")
    logins = [line.split()[0].lstrip("@") for line in answer["answer"].splitlines()]
    counts = [int(line.split()[2]) for line in answer["answer"].splitlines()]
    assert list(zip(logins, counts, strict=True))[:3] == list(demo.truth.typescript_ranking[:3])


def test_the_lottery_factor(demo):
    """Showcase question 3: the factor, its level, and the people behind it; the figure is cited as a measure."""
    answer = as_json(
        demo.home, "ask", "Show me the lottery factor for contributors in the remix-run/react-router project?"
    )
    truth = demo.truth.lottery
    assert f"is {len(truth.people)} (high risk)" in answer["answer"]
    for login, count in truth.counts[:3]:
        assert f"@{login} {count} " in answer["answer"]
    assert answer["citations"][0]["kind"] == "measure"
    assert answer["citations"][0]["ref"] == "lottery_factor"


def test_who_knows_one_thing_and_is_interested_in_another(demo):
    """Showcase question 4: exactly the people who do both, each with evidence."""
    answer = as_json(demo.home, "ask", "Who are the best developers that know Tailwind and are interested in Rust?")
    logins = {line.split()[0].lstrip("@") for line in answer["answer"].splitlines()}
    assert logins == set(demo.truth.tailwind_and_rust)
    assert len(answer["citations"]) >= 2 * len(logins)


def test_unanswerable_questions_are_not_answered(demo):
    """Nothing relevant: it says that it does not know, and what is covered."""
    for question in demo.truth.unanswerable:
        answer = as_json(demo.home, "ask", question, code=ABSTAINED)
        assert answer["abstained"], (question, answer["answer"])
        assert answer["citations"] == []
        assert "Covered: " in answer["answer"]


def test_ask_gives_the_contract(demo):
    """`ask --json` has exactly the fields of the contract, and the answer is kept with its trace."""
    answer = as_json(demo.home, "ask", "hydration mismatch when a lazy route renders")
    assert set(answer) == {"answer_id", "answer", "mode", "abstained", "release", "coverage", "citations",
                           "dropped", "cached", "widgets", "spending"}  # fmt: skip
    assert answer["mode"] == "extractive"
    assert answer["spending"] == {"requests": 0, "tokens_in": 0, "tokens_out": 0, "dollars": 0.0}
    assert answer["release"] == 1
    assert answer["coverage"]["hours_loaded"] == 72
    for number, one in enumerate(answer["citations"], 1):
        assert set(one) == {"n", "kind", "repo", "ref", "title", "url"}
        assert one["n"] == number
        assert isinstance(one["ref"], str)
        assert f"[{number}]" in answer["answer"]
    with psycopg.connect(EmbeddedPostgres(demo.home).url("postgres")) as connection:
        row = connection.execute(
            "SELECT trace FROM service.answers WHERE answer_id = %s", [answer["answer_id"]]
        ).fetchone()
    trace = row[0]["1"]
    assert trace["release"] == 1
    assert trace["index_artifact"]["run"]
    assert trace["embedding"]["model"] == "all-MiniLM-L6-v2"
    assert trace["summary"]["model"] == "extractive:all-MiniLM-L6-v2"
    assert trace["source_event"]["file"].endswith(".json.gz")
    assert trace["source_event"]["run"]


def test_search_gives_the_contract_and_finds_paraphrases(demo):
    """`search --json` has the fields of the contract; a paraphrase finds its item."""
    result = as_json(demo.home, "search", "hydration mismatch", "--kind", "pull_request", "-k", "4")
    assert set(result) == {"release", "hits"}
    assert len(result["hits"]) == 4
    keys = {"kind", "repo", "ref", "title", "url", "score", "rank_score"}
    assert [set(hit) for hit in result["hits"]] == [keys] * 4
    assert {hit["kind"] for hit in result["hits"]} == {"pull_request"}
    scores = [hit["rank_score"] for hit in result["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert "hydration" in result["hits"][0]["title"].lower()


def test_paraphrases_are_found_among_the_first_ten(demo):
    """Of the sample's paraphrases, which share hardly a word with their item, most are found."""
    from answering.retrieval import Scope
    from answering.session import open_answerer
    from resources.settings import Settings

    found = 0
    with open_answerer(Settings(_env_file=None, starsearch_home=demo.home)) as answerer:
        for query, item in demo.truth.searches.items():
            _, hits = answerer.search(query, Scope(), 10)
            found += (item.kind, item.repo, str(item.number)) in {(hit.kind, hit.repo, hit.ref) for hit in hits}
    assert found >= 0.7 * len(demo.truth.searches)


def test_scope_holds_for_commands(demo):
    """--repo and --since reach the SQL; an unknown repository is named, not guessed."""
    result = as_json(demo.home, "search", "cache", "--repo", "remix-run/react-router")
    assert {hit["repo"] for hit in result["hits"]} == {"remix-run/react-router"}
    assert as_json(demo.home, "search", "cache", "--since", "2025-10-09")["hits"] == []
    unknown = starsearch(demo.home, "search", "cache", "--repo", "no/such", check=False)
    assert unknown.returncode == 1
    assert "no/such is not among the tracked repositories" in unknown.stderr


def test_a_renamed_repository_is_found_under_both_names(demo):
    """The alias follows the rename, and hits carry the newest name."""
    rename = demo.truth.rename
    for name in (rename.old_name, rename.new_name):
        hits = as_json(demo.home, "search", "build", "--repo", name)["hits"]
        assert hits
        assert {hit["repo"] for hit in hits} == {rename.new_name}


def test_rejected_lines_can_be_listed_and_shown(demo):
    """The broken line of the sample: file, number, reason, and its bytes."""
    (reject,) = as_json(demo.home, "rejected", "list")
    (broken,) = demo.truth.broken_lines
    assert reject["url"].endswith(broken.file)
    assert reject["line_number"] == broken.line
    shown = starsearch(demo.home, "rejected", "show", str(reject["source_id"]), str(reject["line_number"]))
    assert shown.stdout.startswith("{")
    assert "1 still rejected" in starsearch(demo.home, "rejected", "replay").stdout


def test_doctor_finds_nothing_bad(demo):
    """Everything that the demo needs answers; what is not configured is said."""
    output = starsearch(demo.home, "doctor").stdout
    assert "pgvector" in output
    assert "extractive" in output
    assert "bad" not in output


def test_repositories_can_be_tracked_and_forgotten(demo):
    """`repos`: a known name is found, an unknown one waits, a wrong one is refused."""
    added = starsearch(demo.home, "repos", "add", "some/where")
    assert "Waiting for their first event: 1" in added.stdout
    assert as_json(demo.home, "repos", "list")["waiting"] == ["some/where"]
    starsearch(demo.home, "repos", "remove", "some/where")
    assert as_json(demo.home, "repos", "list")["waiting"] == []
    wrong = starsearch(demo.home, "repos", "add", "no-slash", check=False)
    assert wrong.returncode == 1
    assert "expected owner/name" in wrong.stderr


@pytest.mark.parametrize("stage", ["events:", "pull_requests:", "issue_summaries:"])
def test_a_killed_demo_is_completed_by_the_next(demo, stage):
    """SIGKILL in the middle, then the demo again: the same rows as an undisturbed run."""
    home = Path(tempfile.mkdtemp(prefix="starsearch-killed-"))
    try:
        process = subprocess.Popen(
            command(home, "demo"), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=ROOT,
            env=environment(home),
        )  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if stage in line:
                break
        process.kill()
        process.wait()
        starsearch(home, "demo")
        expected, found = demo.dump(), dump(home)
        for name in DUMPS:
            assert found[name] == expected[name], name
    finally:
        starsearch(home, "down")
        shutil.rmtree(home, ignore_errors=True)

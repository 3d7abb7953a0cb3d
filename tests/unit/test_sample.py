"""The bundled sample: what it promises, checked by reading its files from scratch."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from starsearch_assets.sample import ItemRef, Ref, SampleTruth, write_sample

SLIM_SINCE = datetime(2025, 10, 7, 15, tzinfo=UTC)
SLIM_PULL_REQUEST = {"base", "head", "id", "number", "url"}
SLIM_PUSH = {"before", "head", "push_id", "ref", "repository_id"}


@dataclass
class Seen:
    """One item as the lines tell of it, newest title last."""

    repo_id: int
    number: int
    titles: list[str]
    bodies: list[str]
    author: str | None = None
    opened_by: str | None = None


@dataclass
class Sample:
    """A written sample, read back without any help of its writer."""

    directory: Path
    truth: SampleTruth
    lines: list[tuple[str, int, str]]
    broken: list[tuple[str, int]]
    raw: list[tuple[str, dict[str, Any]]]
    events: list[dict[str, Any]]
    names: dict[int, str]
    pulls: dict[tuple[int, int], Seen]
    issues: dict[tuple[int, int], Seen]
    speakers: dict[tuple[int, int], set[str]]

    def ref(self, key: tuple[int, int]) -> Ref:
        """Name at the end of the window, and number."""
        return self.names[key[0]], key[1]


def at(event: dict[str, Any]) -> datetime:
    """When the event happened."""
    return datetime.fromisoformat(event["created_at"])


def is_bot(login: str) -> bool:
    """Whether a login is a bot's."""
    return login.endswith("[bot]")


def about(word: str, seen: Seen) -> bool:
    """Whether the item's text has that word."""
    text = f"{seen.titles[-1]}\n{seen.bodies[-1]}"
    return re.search(rf"\b{word}\b", text, re.IGNORECASE) is not None


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The sample, written once and read back."""
    directory = tmp_path_factory.mktemp("sample")
    truth = write_sample(directory)
    lines: list[tuple[str, int, str]] = []
    for name in truth.files:
        text = gzip.decompress((directory / name).read_bytes()).decode()
        lines += [(name, number, line) for number, line in enumerate(text.split("\n")[:-1], 1)]
    broken: list[tuple[str, int]] = []
    raw: list[tuple[str, dict[str, Any]]] = []
    distinct: dict[tuple[str, str, str], dict[str, Any]] = {}
    for name, number, line in lines:
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            broken.append((name, number))
            continue
        raw.append((name, event))
        distinct[event["created_at"], event["id"], event["type"]] = event
    events = sorted(distinct.values(), key=at)
    result = Sample(directory, truth, lines, broken, raw, events, {}, {}, {}, {})
    for event in events:
        result.names[event["repo"]["id"]] = event["repo"]["name"]
        _observe(result, event)
    return result


def _observe(sample: Sample, event: dict[str, Any]) -> None:
    payload, repo_id = event["payload"], event["repo"]["id"]
    item = payload.get("pull_request") or payload.get("issue")
    if not isinstance(item, dict):
        return
    key = (repo_id, item["number"])
    is_pull = "pull_request" in payload or "pull_request" in item
    seen = (sample.pulls if is_pull else sample.issues).setdefault(key, Seen(*key, [], []))
    if "title" in item:
        seen.titles.append(item["title"])
        seen.bodies.append(item["body"])
        seen.author = item["user"]["login"]
    if payload["action"] == "opened":
        seen.opened_by = event["actor"]["login"]
    if payload["action"] == "created":
        sample.speakers.setdefault(key, set()).add(event["actor"]["login"])


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    """Writing twice gives the same truth and the same bytes, and leaves no temporary file."""
    first, second = write_sample(tmp_path / "a"), write_sample(tmp_path / "b")
    assert first == second
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == sorted(first.files)
    for name in first.files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_writing_again_replaces_files(tmp_path: Path) -> None:
    """A damaged file in the directory is replaced by a whole one."""
    truth = write_sample(tmp_path)
    whole = (tmp_path / truth.files[0]).read_bytes()
    (tmp_path / truth.files[0]).write_bytes(whole[:100])
    write_sample(tmp_path)
    assert (tmp_path / truth.files[0]).read_bytes() == whole


def test_files_are_the_seventy_two_hours(sample: Sample) -> None:
    """Every hour of the three days has a file, named without a leading zero, and every file has events."""
    expected = [f"2025-10-0{day}-{hour}.json.gz" for day in (6, 7, 8) for hour in range(24)]
    assert list(sample.truth.files) == expected
    assert set(Counter(name for name, _ in sample.raw)) == set(expected)


def test_counts_agree_with_the_files(sample: Sample) -> None:
    """Events, lines, types, duplicates and the broken line are what the truth says."""
    truth = sample.truth
    assert len(sample.events) == truth.events
    assert 3_500 <= truth.events <= 4_500
    assert len(sample.lines) == truth.lines
    assert Counter(e["type"] for e in sample.events) == Counter(truth.events_by_type)
    assert len(sample.raw) - len(sample.events) == truth.duplicate_lines == 1
    assert sample.broken == [(b.file, b.line) for b in truth.broken_lines]
    assert len(sample.broken) == 1


def test_the_duplicate_stands_in_neighbouring_files(sample: Sample) -> None:
    """The repeated line is the same event, byte for byte, in two files that follow each other."""
    counts = Counter(line for _, _, line in sample.lines)
    twice = [line for line, count in counts.items() if count > 1]
    assert len(twice) == 1
    places = [sample.truth.files.index(name) for name, _, line in sample.lines if line == twice[0]]
    assert places[1] - places[0] == 1


def test_late_lines_belong_to_the_hour_before(sample: Sample) -> None:
    """Some lines stand in the file after their own hour, by minutes; none stands anywhere else."""
    late: list[timedelta] = []
    for name, event in sample.raw:
        day, hour = name.removesuffix(".json.gz").rsplit("-", 1)
        start = datetime.fromisoformat(day).replace(hour=int(hour), tzinfo=UTC)
        if not start <= at(event) < start + timedelta(hours=1):
            late.append(start - at(event))
    assert len(late) == sample.truth.late_lines
    assert all(timedelta(0) < delay < timedelta(minutes=10) for delay in late)


def test_item_counts_agree_with_the_files(sample: Sample) -> None:
    """Items with a text, by kind, and pull requests without one are what the truth says."""
    releases = {
        (e["repo"]["id"], e["payload"]["release"]["tag_name"]) for e in sample.events if e["type"] == "ReleaseEvent"
    }
    found = {
        "pull_request": sum(bool(seen.titles) for seen in sample.pulls.values()),
        "issue": sum(bool(seen.titles) for seen in sample.issues.values()),
        "release": len(releases),
    }
    assert found == sample.truth.items
    untitled = sorted(sample.ref(key) for key, seen in sample.pulls.items() if not seen.titles)
    assert tuple(untitled) == sample.truth.untitled_pull_requests
    assert 5 <= len(untitled) <= 60


def test_slim_shapes_are_exact(sample: Sample) -> None:
    """From the slim moment on stubs and pushes have GitHub's exact keys, and merges are action `merged`."""
    slim = [e for e in sample.events if at(e) >= SLIM_SINCE]
    assert len(slim) > 1_000
    for event in slim:
        payload = event["payload"]
        if "pull_request" in payload:
            assert set(payload["pull_request"]) == SLIM_PULL_REQUEST
            assert "title" not in payload
        if event["type"] == "PushEvent":
            assert set(payload) == SLIM_PUSH
        if event["type"] in ("CreateEvent", "DeleteEvent"):
            assert payload["full_ref"].endswith(payload["ref"])
        assert "author_association" not in json.dumps(payload)
    actions = Counter(e["payload"]["action"] for e in slim if e["type"] == "PullRequestEvent")
    assert set(actions) == {"opened", "closed", "merged"}


def test_fat_shapes_carry_text(sample: Sample) -> None:
    """Before, every pull request has title, body, user and sizes, and every push its commits."""
    fat = [e for e in sample.events if at(e) < SLIM_SINCE]
    for event in fat:
        payload = event["payload"]
        if event["type"] == "PullRequestEvent":
            pull = payload["pull_request"]
            assert all((pull["title"], pull["body"], pull["user"]["login"]))
            assert pull["merged"] is (pull["merged_at"] is not None)
            assert {"additions", "deletions", "changed_files", "merged_by"} <= set(pull)
            assert pull["base"]["repo"]["full_name"] == event["repo"]["name"]
            assert payload["action"] in ("opened", "closed")
        if event["type"] == "PushEvent":
            assert payload["size"] == len(payload["commits"]) > 0
            assert payload["commits"][-1]["sha"] == payload["head"]
    assert any(e["payload"]["pull_request"]["merged"] for e in fat if e["type"] == "PullRequestEvent")


def test_event_ids_restart_and_one_number_is_shared(sample: Sample) -> None:
    """Ids are about 55.7e9 while fat and 5.0e9 after; one number names two events; the key is unique."""
    for event in sample.events:
        low, high = (5.0e9, 5.1e9) if at(event) >= SLIM_SINCE else (55.7e9, 55.8e9)
        assert low < int(event["id"]) < high
    repeated = [number for number, count in Counter(e["id"] for e in sample.events).items() if count > 1]
    assert repeated == [sample.truth.shared_event_id]
    refs = {"PushEvent", "CreateEvent", "DeleteEvent"}
    slim = [e for e in sample.events if at(e) >= SLIM_SINCE]
    for own in (True, False):
        ids = [(at(e), int(e["id"])) for e in slim if (e["type"] in refs) is own]
        assert sorted(i for _, i in ids) == [i for _, i in sorted(ids)]


def test_some_events_share_a_second(sample: Sample) -> None:
    """Several events can have one created_at, so time alone is no cursor."""
    assert Counter(e["created_at"] for e in sample.events).most_common(1)[0][1] >= 3


def test_rename_is_visible(sample: Sample) -> None:
    """One repository id has two names, the old before and the new after the moment; no other id has."""
    rename = sample.truth.rename
    names: dict[int, set[str]] = {}
    for event in sample.events:
        names.setdefault(event["repo"]["id"], set()).add(event["repo"]["name"])
        if event["repo"]["id"] == rename.repo_id:
            assert event["repo"]["name"] == (rename.old_name if at(event) < rename.at else rename.new_name)
    assert {i for i, found in names.items() if len(found) > 1} == {rename.repo_id}
    assert names[rename.repo_id] == {rename.old_name, rename.new_name}


def test_retitled_items_end_with_the_new_title(sample: Sample) -> None:
    """An edited title is seen old first and new last, and no other title ever changes."""
    expected = {(r.kind, r.repo, r.number): (r.old_title, r.new_title) for r in sample.truth.retitled}
    found = {
        (kind, *sample.ref(key)): (seen.titles[0], seen.titles[-1])
        for kind, group in (("pull_request", sample.pulls), ("issue", sample.issues))
        for key, seen in group.items()
        if len(set(seen.titles)) > 1
    }
    assert found == expected
    assert len(found) >= 4


def test_bodies_are_distinct(sample: Sample) -> None:
    """No two items share a body or a title within a repository, and a body never changes."""
    groups = [*sample.pulls.items(), *sample.issues.items()]
    bodies = [seen.bodies[-1] for _, seen in groups if seen.bodies]
    assert len(set(bodies)) == len(bodies)
    assert all(len(set(seen.bodies)) <= 1 for _, seen in groups)
    titles = [(key[0], seen.titles[-1]) for key, seen in groups if seen.titles]
    assert len(set(titles)) == len(titles)


def test_special_bodies(sample: Sample) -> None:
    """One body holds U+0000, one is 60 kB or more, and some texts are not ASCII."""
    keys = {sample.ref(key): seen for key, seen in sample.issues.items()}
    nul, long = sample.truth.nul_item, sample.truth.longest_item
    assert [ref for ref, seen in keys.items() if "\x00" in seen.bodies[-1]] == [(nul.repo, nul.number)]
    assert [ref for ref, seen in keys.items() if len(seen.bodies[-1]) > 60_000] == [(long.repo, long.number)]
    assert sum(not seen.bodies[-1].isascii() for seen in keys.values()) >= 5


def test_lives_span_days(sample: Sample) -> None:
    """Items older than the window, items active on several days, and reopened issues all occur."""
    days: dict[tuple[str, int, int], set[str]] = {}
    old = set()
    for event in sample.events:
        issue = event["payload"].get("issue")
        if issue:
            key = ("issue", event["repo"]["id"], issue["number"])
            days.setdefault(key, set()).add(event["created_at"][:10])
            if issue["created_at"] < "2025-10-06":
                old.add(key)
    assert len(old) >= 20
    assert sum(len(found) >= 2 for found in days.values()) >= 60
    assert sum(len(found) == 3 for found in days.values()) >= 5
    assert any(e["payload"].get("action") == "reopened" for e in sample.events)


def test_an_issue_comment_on_a_pull_request_names_it(sample: Sample) -> None:
    """Comments occur on both kinds, told apart by `pull_request` in the issue payload."""
    kinds = Counter("pull_request" in e["payload"]["issue"] for e in sample.events if e["type"] == "IssueCommentEvent")
    assert min(kinds[True], kinds[False]) > 200
    assert not set(sample.pulls) & set(sample.issues)


def test_bots_are_those_named(sample: Sample) -> None:
    """Actors that end in [bot] are the three of the truth."""
    assert {e["actor"]["login"] for e in sample.events if is_bot(e["actor"]["login"])} == set(sample.truth.bots)


def test_question_one_pull_requests_of_a_person(sample: Sample) -> None:
    """What brandonroberts opened is known by type: twelve or more, over two repositories, all with text."""
    found = {sample.ref(key) for key, seen in sample.pulls.items() if "brandonroberts" in (seen.author, seen.opened_by)}
    truth = sample.truth.pull_request_types
    assert found == set(truth)
    assert len(found) >= 12
    assert len({name for name, _ in found}) == 2
    assert set(truth.values()) == {
        "feature",
        "bug fix",
        "documentation",
        "refactoring",
        "performance",
        "test",
    }
    prefixes = {
        "feature": "feat",
        "bug fix": "fix",
        "documentation": "docs",
        "performance": "perf",
        "test": "test",
    }
    titles = {sample.ref(key): seen.titles[-1] for key, seen in sample.pulls.items() if seen.titles}
    assert all(titles[ref].startswith(prefixes.get(kind, "refactor")) for ref, kind in truth.items())


def test_question_two_typescript_contributors(sample: Sample) -> None:
    """People ranked by pull requests that mention TypeScript: the first three are clear."""
    authors = [s for s in sample.pulls.values() if s.titles and not is_bot(s.author or "") and about("typescript", s)]
    counts = Counter(seen.author or "" for seen in authors)
    ranking = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    assert tuple(ranking) == sample.truth.typescript_ranking
    first, second, third, fourth = (count for _, count in ranking[:4])
    assert min(first - second, second - third, third - fourth) >= 3
    elsewhere = [
        s for s in authors if sample.names[s.repo_id].split("/")[1] not in ("react-router", "dataloom", "schemata")
    ]
    assert len(elsewhere) <= 2


def test_question_three_lottery_factor(sample: Sample) -> None:
    """Two people open half of the repository's pull requests, with and without those that have no text."""
    truth = sample.truth.lottery
    here = [seen for key, seen in sample.pulls.items() if sample.names[key[0]] == truth.repo]
    everything = Counter(s.author or s.opened_by or "" for s in here)
    with_text = Counter(s.author or "" for s in here if s.titles)
    assert any(is_bot(login) for login in everything)
    assert sum(with_text.values()) < sum(everything.values())
    for counts, expected in ((everything, truth.counts), (with_text, truth.counts_with_text)):
        ranking = sorted(((n, c) for n, c in counts.items() if not is_bot(n)), key=lambda pair: (-pair[1], pair[0]))
        assert tuple(ranking) == expected
        total = sum(count for _, count in ranking)
        assert 2 * ranking[0][1] < total <= 2 * (ranking[0][1] + ranking[1][1])
        assert ranking[0][1] > ranking[1][1] > ranking[2][1]
        assert tuple(login for login, _ in ranking[:2]) == truth.people
    assert truth.share == pytest.approx(sum(c for _, c in truth.counts[:2]) / sum(c for _, c in truth.counts))


def test_question_four_tailwind_and_rust(sample: Sample) -> None:
    """Two people answer it, whether subjects are told by words or by repositories, stars included."""
    truth = sample.truth.tailwind_and_rust
    rust_repos = {i for i, name in sample.names.items() if name in ("ferrous-works/lexigrind", "emberdb/emberdb")}
    styling_repos = {i for i, name in sample.names.items() if name == "petalworks/petal-ui"}
    people = [seen for seen in sample.pulls.values() if seen.author and not is_bot(seen.author)]
    tailwind_words = {seen.author for seen in people if about("tailwind", seen)}
    tailwind_repos = {seen.author for seen in people if seen.repo_id in styling_repos}
    items = [seen for seen in (*sample.pulls.values(), *sample.issues.values()) if seen.titles]
    rust_words = {seen.author for seen in items if about("rust", seen)}
    rust_active = {e["actor"]["login"] for e in sample.events if e["repo"]["id"] in rust_repos}
    assert tailwind_words & rust_words == set(truth)
    assert (tailwind_words | tailwind_repos) & (rust_words | rust_active) == set(truth)
    assert len(truth) == 2
    for login, evidence in truth.items():
        tailwind = {sample.ref((s.repo_id, s.number)) for s in people if s.author == login and about("tailwind", s)}
        assert set(evidence.tailwind_pull_requests) == tailwind
        for group, kind in ((sample.pulls, "pull_request"), (sample.issues, "issue")):
            here = {key: seen for key, seen in group.items() if key[0] in rust_repos and seen.titles}
            authored = {ItemRef(kind, *sample.ref(key)) for key, seen in here.items() if seen.author == login}
            discussed = {ItemRef(kind, *sample.ref(key)) for key in here if login in sample.speakers.get(key, ())}
            assert {ref for ref in evidence.rust_authored if ref.kind == kind} == authored
            assert {ref for ref in evidence.rust_discussed if ref.kind == kind} == discussed
        assert evidence.rust_authored


def test_subjects_stay_in_their_repositories(sample: Sample) -> None:
    """Rust is written about in the two Rust repositories only, Tailwind in the component library only."""
    items = [seen for seen in (*sample.pulls.values(), *sample.issues.values()) if seen.titles]
    assert {sample.names[s.repo_id] for s in items if about("rust", s)} == {
        "ferrous-works/lexigrind",
        "emberdb/emberdb",
    }
    assert {sample.names[s.repo_id] for s in items if about("tailwind", s)} == {"petalworks/petal-ui"}


def test_searches_name_existing_items_in_other_words(sample: Sample) -> None:
    """Each paraphrase names an item whose title shares at most a fifth of the words with it."""
    assert len(sample.truth.searches) >= 8
    for query, ref in sample.truth.searches.items():
        group = sample.pulls if ref.kind == "pull_request" else sample.issues
        seen = next(s for key, s in group.items() if sample.ref(key) == (ref.repo, ref.number))
        words, title = (set(re.findall(r"\w+", text.lower())) for text in (query, seen.titles[-1]))
        common = {"the", "a", "of", "in", "is", "to", "when", "from", "and", "for"}
        shared = (words & title) - common
        assert len(shared) <= len((words | title) - common) / 5, (query, shared)


def test_unanswerable_questions_share_no_subject(sample: Sample) -> None:
    """The questions without an answer use key words that stand in no line of the sample."""
    everything = "\n".join(line for _, _, line in sample.lines).lower()
    for word in ("payroll", "overtime", "quantum", "satellite", "telemetry", "rocket", "thermal printer"):
        assert word not in everything
    assert len(sample.truth.unanswerable) == 5

"""The bundled sample: the shapes that it promises, checked by reading its files from scratch."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from starsearch_assets.sample import write_sample
from tests.unit.written_sample import Sample, at, is_bot, read_back

SLIM_SINCE = datetime(2025, 10, 7, 15, tzinfo=UTC)
SLIM_PULL_REQUEST = {"base", "head", "id", "number", "url"}
SLIM_PUSH = {"before", "head", "push_id", "ref", "repository_id"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return read_back(tmp_path_factory.mktemp("sample"))


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

"""The bundled sample: what is true of its questions, checked by reading its files from scratch."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from starsearch_assets.sample import ItemRef
from tests.unit.written_sample import Sample, about, is_bot, read_back


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return read_back(tmp_path_factory.mktemp("sample"))


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

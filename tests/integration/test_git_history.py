"""What the commits of opted-in repositories become in the database, over real git repositories."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from resources.git import Git
from resources.git_clones import CloneFolder
from resources.postgres import Database
from starsearch_assets.git_history import store, wishes
from starsearch_assets.git_history.process import due_repositories, take_in
from tests.git_remotes import DAY, START, Remote, git, git_daemon, git_http_server, remove_clone
from tests.integration.git_histories import (
    ID,
    NAME,
    column,
    commits,
    dirty,
    fetch,
    new,
    opt_in,
    reachable,
    read_everything,
    tips,
    updates,
)

FIRST_DAY = date(2023, 11, 14)


def test_a_first_clone_takes_in_every_commit(database: Database, remote: Remote, client: Git) -> None:
    """Author, committer, times, message, parents, changed paths and day, and the days are asked for."""
    first = remote.commit(message=b"The first\n\nWith a body.\n", files={b"a": b"1", b"d/b": b"2"})
    second = remote.commit(message=b"Change and delete\n", files={b"a": b"3", b"d/b": None}, when=START + 2 * DAY)
    opt_in(database, remote.url)
    assert new(fetch(database, client)) == 2
    at = datetime.fromtimestamp(START + 60, UTC)
    assert commits(database)[first] == (
        [], "Ada", "ada@example.com", at, "Ada", "ada@example.com", at, "The first\n\nWith a body.", [], ["a", "d/b"],
        2, FIRST_DAY, True,
    )  # fmt: skip
    assert commits(database)[second][0] == [first]
    assert commits(database)[second][9:12] == (["a", "d/b"], 2, FIRST_DAY + timedelta(days=2))
    assert dirty(database) == [FIRST_DAY, FIRST_DAY + timedelta(days=2)]
    assert tips(database) == {"main": second}
    assert updates(database) == [("main", None, second, False)]
    assert database.fetch_all("SELECT error, failures, bytes > 0, unfinished FROM git_repositories") == [
        (None, 0, True, False)
    ]


def test_only_what_is_new_is_read(
    database: Database, remote: Remote, client: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second fetch reads the two commits that were pushed, the third none."""
    seen: list[int] = []
    write = store.write_commits

    def counting(database, repository, batch, *rest):  # type: ignore[no-untyped-def]
        seen.append(len(batch))
        return write(database, repository, batch, *rest)

    monkeypatch.setattr("starsearch_assets.git_history.process.write_commits", counting)
    for _ in range(5):
        remote.commit()
    opt_in(database, remote.url)
    fetch(database, client)
    remote.commit(), remote.commit()
    assert new(fetch(database, client)) == 2
    assert new(fetch(database, client)) == 0
    assert seen == [5, 2]
    assert len(updates(database)) == 2


def test_a_force_push_is_noted_and_undone(database: Database, remote: Remote, client: Git) -> None:
    """Commits that no branch reaches are marked, keep their rows, and lose the mark when one reaches them again."""
    base = remote.commit()
    old = [remote.commit(when=START + DAY), remote.commit(when=START + 2 * DAY)]
    opt_in(database, remote.url)
    fetch(database, client)
    dirty(database)
    other = remote.commit(parents=[base], when=START + 5 * DAY)
    result = fetch(database, client)
    assert (new(result), result.repositories[0].written.unreachable, result.repositories[0].forced) == (1, 2, 1)
    assert reachable(database) == {base, other} == read_everything(remote)
    assert dirty(database) == [FIRST_DAY + timedelta(days=days) for days in (1, 2, 5)]
    since = column(database, "unreachable_since")[old[0]]
    fetch(database, client)
    assert (dirty(database), column(database, "unreachable_since")[old[0]]) == ([], since)
    remote.point("main", old[1])
    result = fetch(database, client)
    assert (new(result), result.repositories[0].written.reachable_again) == (0, 2)
    assert reachable(database) == {base, *old} == read_everything(remote)
    assert dirty(database) == [FIRST_DAY + timedelta(days=days) for days in (1, 2, 5)]
    assert updates(database)[1:] == [("main", old[1], other, True), ("main", other, old[1], True)]


def test_a_branch_deleted_and_restored(database: Database, remote: Remote, client: Git) -> None:
    """Its own commits become unreachable, those that another branch has do not."""
    base = remote.commit()
    side = remote.commit("side", parents=[base])
    opt_in(database, remote.url)
    fetch(database, client)
    remote.point("side", None)
    fetch(database, client)
    assert reachable(database) == {base}
    assert updates(database)[-1] == ("side", side, None, False)
    assert tips(database) == {"main": base}
    remote.point("side/again", side)
    fetch(database, client)
    assert reachable(database) == {base, side}


def test_a_rename_is_two_paths(database: Database, remote: Remote, client: Git) -> None:
    """The file's old name and its new one: which file became which is not guessed from contents that are not there."""
    remote.commit(files={b"old name": b"content" * 100})
    renamed = remote.commit(files={b"old name": None, b"new name": b"content" * 100})
    opt_in(database, remote.url)
    fetch(database, client)
    assert column(database, "paths")[renamed] == ["new name", "old name"]


def test_an_old_branch_merged_late_brings_its_old_commits(database: Database, remote: Remote, client: Git) -> None:
    """New commits with old dates get their own days; the merge shows what it changes on its first parent."""
    base = remote.commit()
    opt_in(database, remote.url)
    remote.commit(files={b"main only": b"1"}, when=START + 100 * DAY)
    fetch(database, client)
    dirty(database)
    old = remote.commit(None, parents=[base], files={b"side only": b"1"}, when=START + 3 * DAY)
    merge = remote.commit(
        parents=[remote.tips()["main"], old], files={b"side only": b"1"}, when=START + 101 * DAY
    )  # fmt: skip
    assert new(fetch(database, client)) == 2
    assert column(database, "paths")[merge] == ["side only"]
    assert column(database, "day")[old] == FIRST_DAY + timedelta(days=3)
    assert dirty(database) == [FIRST_DAY + timedelta(days=3), FIRST_DAY + timedelta(days=101)]


def test_an_octopus_merge_has_all_its_parents(database: Database, remote: Remote, client: Git) -> None:
    """Five of them, and the paths that differ from the first."""
    base = remote.commit()
    sides = [remote.commit(None, parents=[base], files={b"side %d" % number: b"1"}) for number in range(4)]
    merge = remote.commit(parents=[base, *sides], files={b"side %d" % number: b"1" for number in range(4)})
    opt_in(database, remote.url)
    assert new(fetch(database, client)) == 6
    assert column(database, "parents")[merge] == [base, *sides]
    assert column(database, "paths")[merge] == [f"side {number}" for number in range(4)]


def test_an_empty_repository_is_fetched_and_waits(database: Database, remote: Remote, client: Git) -> None:
    """No branch, no error; the first push is found later. A HEAD that leads nowhere changes nothing."""
    opt_in(database, remote.url)
    assert new(fetch(database, client)) == 0
    git(remote.path, "symbolic-ref", "HEAD", "refs/heads/unborn")
    sha = remote.commit("trunk")
    assert new(fetch(database, client)) == 1
    assert tips(database) == {"trunk": sha}


def test_messages_that_are_not_utf8(database: Database, remote: Remote, client: Git) -> None:
    """The commit's own encoding is honoured; bytes that nothing explains stay visible, in names too."""
    told = remote.commit(message="Grüße".encode("latin-1"), headers=b"encoding ISO-8859-1\n")
    untold = remote.commit(message="Grüße\t\\\n".encode("latin-1"), author="Jürgen <j@x>".encode("latin-1"))
    unknown = remote.commit(message="Grüße".encode("latin-1"), headers=b"encoding klingon\n")
    plain = remote.commit(message='Grüße 🚀 \\N \\. "{}"\r\n\x01\tend'.encode())
    opt_in(database, remote.url)
    fetch(database, client)
    messages = column(database, "message")
    assert messages[told] == "Grüße"
    assert messages[untold] == "Gr\\xfc\\xdfe\t\\"
    assert messages[unknown] == "Gr\\xfc\\xdfe"
    assert messages[plain] == 'Grüße 🚀 \\N \\. "{}"\r\n\x01\tend'
    assert column(database, "author_name")[untold] == "J\\xfcrgen"


def test_co_authors_are_those_of_the_trailers(database: Database, remote: Remote, client: Git) -> None:
    """As git reads trailers: whatever the case, folded lines joined; not in the midst of the message."""
    text = b"""Do it

Co-authored-by: Not A Trailer <no@example.com>

More words.

Signed-off-by: Ada <ada@example.com>
Co-authored-by: Bob "the \\ builder" <bob@example.com>
CO-AUTHORED-BY: Carl
 Folded <carl@example.com>
co-authored-by: nobody
"""
    sha = remote.commit(message=text)
    opt_in(database, remote.url)
    fetch(database, client)
    assert column(database, "co_authors")[sha] == [
        {"name": 'Bob "the \\ builder"', "email": "bob@example.com"},
        {"name": "Carl Folded", "email": "carl@example.com"},
        {"name": "nobody", "email": ""},
    ]


@pytest.mark.parametrize(
    ("when", "year"),
    [("0", 1970), ("-62167219200", 1970), ("292277026596", 9999), ("18446744073709551615", 1970), ("x", 1970)],
)
def test_absurd_times_are_clamped(database: Database, remote: Remote, client: Git, when: str, year: int) -> None:
    """Whatever a commit claims, its day lies between the repository's creation and the day it was first seen."""
    sha = remote.commit(when=when)
    opt_in(database, remote.url)
    created = datetime(2020, 2, 2, 23, tzinfo=UTC)
    database.execute("UPDATE git_repositories SET created_at = %s", [created])
    fetch(database, client)
    at = column(database, "committed_at")[sha]
    assert at.year in (year, 9999)
    assert column(database, "day")[sha] == (datetime.now(UTC).date() if at.year == 9999 else created.date())


def test_the_day_stays_as_it_was_first_seen(database: Database, remote: Remote, client: Git) -> None:
    """A commit of the future has the day of its first sight, also when it is seen again from a new clone."""
    sha = remote.commit(when=START + 100_000 * DAY)
    opt_in(database, remote.url)
    fetch(database, client)
    database.execute("UPDATE git_commits SET day = day - 7, first_seen_at = first_seen_at - interval '7 days'")
    remove_clone(CloneFolder(client.cache).path(ID))
    remote.commit()
    fetch(database, client)
    assert column(database, "day")[sha] == datetime.now(UTC).date() - timedelta(days=7)


def test_hostile_paths_are_only_text(database: Database, remote: Remote, client: Git) -> None:
    """Newlines, quotes, bytes that are not UTF-8, 4,000 bytes, paths that lead out: kept as they stand in the tree."""
    deep = b"/".join([b"d" * 199] * 20)
    paths = [b"a\nb", b'q"u\\o{t}e,', b"\xff\xfe", deep, b"../../escaped", b".git/hooks/post-checkout", b"tab\there",
             b"\nleading", b" "]  # fmt: skip
    files = dict.fromkeys(paths, b"#!/bin/sh\ntouch /tmp/hacked\n")
    sha = remote.commit(files=files)
    opt_in(database, remote.url)
    assert new(fetch(database, client)) == 1
    told = {path.decode("utf-8", "backslashreplace") for path in paths}
    assert set(column(database, "paths")[sha]) == told
    assert column(database, "paths_total")[sha] == len(paths)
    names = {path.name for path in client.cache.rglob("*")}
    assert not names & {"escaped", "post-checkout"}
    assert not any((client.cache.parent / name).exists() for name in ("escaped", "post-checkout"))


def test_at_most_300_paths_are_kept(database: Database, remote: Remote, client: Git) -> None:
    """Of 700; the number is the true one. A message of a megabyte is cut."""
    sha = remote.commit(files={b"f/%04d" % number: b"" for number in range(700)}, message=b"x" * 1_000_000)
    opt_in(database, remote.url)
    fetch(database, client)
    assert column(database, "paths")[sha] == [f"f/{number:04}" for number in range(300)]
    assert column(database, "paths_total")[sha] == 700
    assert column(database, "message")[sha] == "x" * 65_536


def test_ten_thousand_commits_in_batches(
    database: Database, tmp_path: Path, client: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are there, each day is asked for once, and progress is told."""
    from benchmarks.git import generate

    folder = tmp_path / "big.git"
    generate(folder, 10_000)
    opt_in(database, f"file://{folder}")
    told: list[str] = []
    assert new(fetch(database, client, progress=lambda done, total, detail: told.append(detail))) == 10_000
    assert len(commits(database)) == 10_000
    assert len([one for one in told if "new commits" in one]) >= 5
    assert len(dirty(database)) == database.fetch_value("SELECT count(DISTINCT day) FROM git_commits")


def test_git_daemon_and_http_serve_alike(database: Database, remote: Remote, client: Git) -> None:
    """The same rows over git:// and http:// as over file://."""
    remote.commit(), remote.commit()
    base = remote.path.parent
    with git_daemon(base) as daemon, git_http_server(base) as server:
        for number, url in enumerate((remote.url, f"{daemon}/rocket.git", f"{server.url}/rocket.git"), 1):
            opt_in(database, url, number, f"octo/r{number}")
        result = fetch(database, client)
    assert [one.error for one in result.repositories] == ["", "", ""]
    assert commits(database, 1) == commits(database, 2) == commits(database, 3)
    assert len(commits(database, 1)) == 2


def test_one_bad_repository_does_not_stop_the_others(database: Database, remote: Remote, client: Git) -> None:
    """It is named with the reason and tried later, ever later; success clears it."""
    remote.commit()
    opt_in(database, f"file://{remote.path}-absent", 1, "octo/absent")
    opt_in(database, remote.url)
    result = take_in(database, client, 10**12, 24)
    assert {one.name: one.outcome for one in result.repositories} == {"octo/absent": "failed", NAME: "fetched"}
    assert (len(result.failed), result.all_failed) == (1, False)
    assert "not there for everybody" in result.failed[0].error
    assert due_repositories(database, 24) == []
    query = "SELECT failures, error IS NULL, not_before - clock_timestamp() FROM git_repositories WHERE repo_id = 1"
    ((failures, fine, first),) = database.fetch_all(query)
    assert (failures, fine) == (1, False)
    assert fetch(database, client).failed
    ((failures, _, second),) = database.fetch_all(query)
    assert failures == 2
    assert second > first
    (verdict,) = database.fetch_all("SELECT passed, details ->> 'which' FROM newest_audits WHERE asset = 'git_history'")
    assert not verdict[0]
    assert "octo/absent" in verdict[1]
    with database.transaction() as connection:
        wishes.opt_in(connection, {1: remote.url})
    assert not fetch(database, client).failed
    assert database.fetch_all("SELECT error, failures, not_before FROM git_repositories") == [(None, 0, None)] * 2


def test_what_is_due(database: Database, remote: Remote, client: Git) -> None:
    """Never fetched; asked for; a push since the newest fetch; a fetch that is old. Not before a failure's time."""
    remote.commit()
    opt_in(database, remote.url)

    def due(**changes: object) -> bool:
        for name, value in changes.items():
            database.execute(f"UPDATE git_repositories SET {name} = {value}")
        return bool(due_repositories(database, 24))

    assert due()
    take_in(database, client, 10**12, 24)
    assert not due()
    assert due(requested_at="now()")
    assert not due(requested_at="now() - interval '1 day'")
    assert due(fetched_at="now() - interval '25 hours'")
    assert not due(fetched_at="now() - interval '1 hour'")
    database.execute("CREATE TABLE events_all PARTITION OF events DEFAULT")
    for kind, ago in (("PushEvent", 2), ("WatchEvent", 0)):
        database.execute(
            "INSERT INTO events VALUES (now() - %s * interval '1 hour', %s, %s, %s, %s, 7, 'ada', 1, '{}')",
            [ago, ago, kind, ID, NAME],
        )
    assert not due()
    assert due(fetched_at="now() - interval '3 hours'")
    assert not due(not_before="now() + interval '1 hour'")
    assert [one.repo_id for one in due_repositories(database, 24, only=[NAME.upper()])] == [ID]
    assert due(not_before="now() - interval '1 minute'")
    assert not due(removed_at="now()")


def test_the_day_of_creation_is_learnt_from_events(database: Database, remote: Remote, client: Git) -> None:
    """No commit of an imported history is active before the repository was there."""
    sha = remote.commit(when=START - 3000 * DAY)
    opt_in(database, remote.url)
    database.execute("CREATE TABLE events_all PARTITION OF events DEFAULT")
    for event_id, kind, day in ((1, "repository", "2024-05-06"), (2, "branch", "2011-01-01")):
        database.execute(
            "INSERT INTO events VALUES (%s, %s, 'CreateEvent', %s, %s, 7, 'ada', 1,"
            " jsonb_build_object('ref_type', %s::text))",
            [day, event_id, ID, NAME, kind],
        )
    fetch(database, client)
    assert column(database, "day")[sha] == date(2024, 5, 6)


def test_a_renamed_repository_is_cloned_under_its_new_name(database: Database, remote: Remote, client: Git) -> None:
    """On GitHub: whoever has the old name now is somebody else. URLs elsewhere are left alone."""
    opt_in(database, wishes.github_url("acme/old"))
    opt_in(database, remote.url, 2, "octo/elsewhere")
    closed = Git(client.cache, protocols=("file",))
    fetch(database, closed)
    assert database.fetch_all("SELECT url FROM git_repositories ORDER BY repo_id DESC") == [
        ("https://github.com/acme/rocket.git",), (remote.url,),
    ]  # fmt: skip

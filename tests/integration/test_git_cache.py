"""Clones come and go: damaged, evicted, unwanted, forgotten. What was taken in stays, or is forgotten with them."""

from __future__ import annotations

from pathlib import Path

from resources.git import Git
from resources.git_clones import CloneFolder
from resources.postgres import Database
from starsearch_assets.forgetting import forget_repository
from starsearch_assets.git_history import wishes
from starsearch_assets.git_history.process import take_in
from tests.git_remotes import Remote
from tests.integration.git_histories import ID, NAME, commits, fetch, new, opt_in, reachable, updates


def test_a_damaged_clone_is_cloned_again(database: Database, remote: Remote, client: Git) -> None:
    """Its pack is overwritten with zeros: the same run has a new clone, and no row is lost or double."""
    remote.commit(), remote.commit()
    opt_in(database, remote.url)
    fetch(database, client)
    before = commits(database)
    for pack in CloneFolder(client.cache).path(ID).glob("objects/pack/*"):
        pack.chmod(0o600)
        pack.write_bytes(bytes(pack.stat().st_size))
    remote.commit()
    assert new(fetch(database, client)) == 1
    assert {sha: row for sha, row in commits(database).items() if sha in before} == before


def test_eviction_and_a_new_clone_keep_the_rows(
    database: Database, remote: Remote, client: Git, tmp_path: Path
) -> None:
    """The least recently used clone makes room; what it had and a force-push took away meanwhile is marked."""
    base = remote.commit()
    lost = remote.commit()
    other = Remote(tmp_path / "remotes" / "other.git")
    other.commit()
    opt_in(database, remote.url)
    opt_in(database, other.url, 2, "octo/other")
    fetch(database, client)
    folder = CloneFolder(client.cache)
    database.execute("UPDATE git_repositories SET used_at = now() - interval '1 day' WHERE repo_id = %s", [ID])
    assert take_in(database, client, 100, 24).evicted == 2
    assert folder.clones() == []
    fetch(database, client)
    database.execute("UPDATE git_repositories SET used_at = now() - interval '1 day' WHERE repo_id = %s", [ID])
    sizes = dict(database.fetch_all("SELECT repo_id, bytes FROM git_repositories"))
    assert take_in(database, client, max(sizes.values()) + 100, 24).evicted == 1
    assert folder.clones() == [2]
    assert database.fetch_value("SELECT bytes FROM git_repositories WHERE repo_id = %s", [ID]) is None
    now = remote.commit(parents=[base])
    result = fetch(database, client, only=[NAME])
    assert (new(result), result.repositories[0].written.unreachable) == (1, 1)
    assert reachable(database) >= {base, now}
    assert lost not in reachable(database)
    assert updates(database)[-1] == ("main", lost, now, True)


def test_clones_that_nobody_wants_are_deleted(database: Database, remote: Remote, client: Git) -> None:
    """Opted out, unknown, or half a clone: gone from the disk with the next run; files of others stay. Rows stay."""
    remote.commit()
    opt_in(database, remote.url)
    fetch(database, client)
    folder = CloneFolder(client.cache)
    (client.cache / "77.git").mkdir()
    (client.cache / "88.part" / "objects").mkdir(parents=True)
    (client.cache / "mine.txt").write_text("keep")
    with database.transaction() as connection:
        wishes.opt_out(connection, [ID])
    result = fetch(database, client)
    assert (result.deleted, result.repositories) == (2, [])
    assert {path.name for path in client.cache.iterdir()} == {".empty", ".locks", "mine.txt"}
    assert database.fetch_all("SELECT FROM git_repositories") == []
    assert len(commits(database)) == 1
    opt_in(database, remote.url)
    assert new(fetch(database, client)) == 0
    assert folder.clones() == [ID]


def test_a_forgotten_repository_leaves_rows_and_disk(database: Database, remote: Remote, client: Git) -> None:
    """Its commits, branches and their moves at once, its clone with the next run, and it does not come back."""
    remote.commit()
    opt_in(database, remote.url)
    fetch(database, client)
    forget_repository(database, ID, "private")
    for table in ("git_commits", "git_refs", "git_ref_updates"):
        assert database.fetch_value(f"SELECT count(*) FROM {table}") == 0, table
    assert database.fetch_all("SELECT url FROM git_repositories") == [("",)]
    assert CloneFolder(client.cache).clones() == [ID]
    fetch(database, client)
    assert CloneFolder(client.cache).clones() == []
    assert database.fetch_value("SELECT count(*) FROM git_repositories") == 0
    with database.transaction() as connection:
        wishes.opt_in(connection, {ID: remote.url})
    assert fetch(database, client).repositories == []
    assert commits(database) == {}

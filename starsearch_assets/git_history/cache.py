"""Which clones are kept: of opted-in repositories only, the most recently used first, up to a bound."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from resources.errors import GitCloneBusy
from resources.git_clones import CloneFolder, folder_size
from resources.postgres import Database


@dataclass(frozen=True)
class CloneCache:
    """The clones on this machine. most_bytes: of all of them together."""

    folder: CloneFolder
    most_bytes: int

    def sweep(self, database: Database) -> list[int]:
        """Delete halves of clones, and clones that nobody wants any more: opted out, forgotten, unknown.

        Returns the ids of the latter. A row that was opted out goes with its clone.
        """
        for repo_id in self.folder.left_over():
            self._delete_half(repo_id)
        wanted = {
            repo_id
            for (repo_id,) in database.fetch_all(
                "SELECT repo_id FROM git_repositories g WHERE removed_at IS NULL AND NOT EXISTS"
                " (SELECT FROM tombstones t WHERE t.subject = 'repository' AND t.subject_id = g.repo_id)"
            )
        }
        unwanted = [repo_id for repo_id in self.folder.clones() if repo_id not in wanted]
        deleted = [repo_id for repo_id in unwanted if self._delete(repo_id)]
        there = self.folder.clones()
        database.execute(
            "DELETE FROM git_repositories g WHERE repo_id <> ALL (%s) AND (removed_at IS NOT NULL OR EXISTS"
            " (SELECT FROM tombstones t WHERE t.subject = 'repository' AND t.subject_id = g.repo_id))",
            [there],
        )
        database.execute(
            "UPDATE git_repositories SET bytes = NULL, used_at = NULL WHERE bytes IS NOT NULL AND repo_id <> ALL (%s)",
            [there],
        )
        return deleted

    def make_room(self, database: Database, needed_by: int | None = None) -> list[int]:
        """Delete the least recently used clones until all others fit; never that of `needed_by`."""
        used = dict(database.fetch_all("SELECT repo_id, used_at FROM git_repositories WHERE used_at IS NOT NULL"))
        sizes = {repo_id: folder_size(self.folder.path(repo_id)) for repo_id in self.folder.clones()}
        total = sum(sizes.values())
        deleted = []
        for repo_id in sorted(sizes, key=lambda one: (one in used, used.get(one), one)):
            if total <= self.most_bytes:
                break
            if repo_id != needed_by and self._delete(repo_id):
                total -= sizes[repo_id]
                deleted.append(repo_id)
        database.execute("UPDATE git_repositories SET bytes = NULL, used_at = NULL WHERE repo_id = ANY (%s)", [deleted])
        return deleted

    def _delete(self, repo_id: int) -> bool:
        """False where somebody works in the clone."""
        with contextlib.suppress(GitCloneBusy), self.folder.lock(repo_id):
            self.folder.delete(repo_id)
            return True
        return False

    def _delete_half(self, repo_id: int) -> None:
        with contextlib.suppress(GitCloneBusy), self.folder.lock(repo_id):
            self.folder.delete_half(repo_id)

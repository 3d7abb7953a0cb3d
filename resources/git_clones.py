"""The folder of bare clones: one a repository, one worker a clone, and nothing in it that nobody asked for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from resources.errors import GitCloneBusy

_CLONE = re.compile(r"(-?\d{1,19})\.git")
_LEFT_OVER = re.compile(r"(-?\d{1,19})\.(?:part|gone)")


@dataclass(frozen=True)
class CloneFolder:
    """Clones under `root`. Only names that this module gives are ever touched."""

    root: Path

    def path(self, repo_id: int) -> Path:
        """Where the repository's clone is, if there is one."""
        return self.root / f"{repo_id}.git"

    def partial(self, repo_id: int) -> Path:
        """Where a clone is until it is whole."""
        return self.root / f"{repo_id}.part"

    def clones(self) -> list[int]:
        """The repositories of which there is a clone."""
        return self._ids(_CLONE)

    def left_over(self) -> list[int]:
        """The repositories of which there is half a clone, or one half deleted."""
        return self._ids(_LEFT_OVER)

    @contextmanager
    def lock(self, repo_id: int, seconds: float = 0.0) -> Iterator[int]:
        """Work in the repository's clone alone; the file descriptor is for the processes that work in it, too.

        Raises:
            GitCloneBusy: after `seconds` somebody else still does.
        """
        locks = self.root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(locks / f"{repo_id}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + seconds
            while not _try_lock(descriptor):
                if time.monotonic() >= deadline:
                    raise GitCloneBusy("Another run works in the repository's clone; it will see what is new.")
                time.sleep(0.05)
            yield descriptor
        finally:
            os.close(descriptor)

    def publish(self, repo_id: int) -> None:
        """The clone is whole."""
        self.partial(repo_id).rename(self.path(repo_id))

    def delete(self, repo_id: int) -> None:
        """Delete the clone and whatever is left of one; the caller holds its lock."""
        self.delete_half(repo_id)
        with contextlib.suppress(FileNotFoundError):
            self.path(repo_id).rename(self._gone(repo_id))  # at once: its name never means half of a clone
        self.delete_half(repo_id)

    def delete_half(self, repo_id: int) -> None:
        """Delete what a killed clone or a killed deletion left; the caller holds the lock."""
        for folder in (self._gone(repo_id), self.partial(repo_id)):
            shutil.rmtree(folder, ignore_errors=True)

    def _gone(self, repo_id: int) -> Path:
        return self.root / f"{repo_id}.gone"

    def _ids(self, pattern: re.Pattern[str]) -> list[int]:
        if not self.root.is_dir():
            return []
        matches = (pattern.fullmatch(path.name) for path in self.root.iterdir())
        return sorted({int(matched[1]) for matched in matches if matched})


def folder_size(folder: Path) -> int:
    """Bytes of all files in it; what vanishes meanwhile does not count."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    total += folder_size(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

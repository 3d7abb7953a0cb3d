"""Bare partial clones of real repositories: what comes, what does not, and what a hostile remote cannot do."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from resources import git as git_module
from resources.errors import (
    GitCloneDamaged,
    GitError,
    GitLimitExceeded,
    GitRefused,
    GitUnavailable,
    GitUnusable,
    GitUrlRefused,
)
from resources.git import Git
from resources.git_clones import CloneFolder, folder_size
from resources.git_process import environment
from tests.git_remotes import Remote, git, git_daemon, git_http_server

MEGABYTE = 1_000_000


def shas(client: Git, clone: Path) -> list[str]:
    """What the clone's branches reach."""
    with client.commits(clone, client.tips(clone).values()) as found:
        return [commit.sha for commit in found]


def test_contents_of_files_are_not_downloaded(client: Git, remote: Remote, tmp_path: Path) -> None:
    """Three megabytes of them over a server that can leave them out: the clone has kilobytes, and reads all paths."""
    remote.commit(files={b"big": os.urandom(3 * MEGABYTE)})
    remote.commit(files={b"big": os.urandom(3 * MEGABYTE)})
    clone = client.cache / "1.git"
    with git_http_server(remote.path.parent) as server:
        client.fetch(clone, f"{server.url}/rocket.git")
        requests = len(server.requests)
        assert folder_size(clone) < 100_000 < folder_size(remote.path)
        with client.commits(clone, client.tips(clone).values()) as found:
            assert [commit.paths for commit in found] == [["big"], ["big"]]
        assert len(server.requests) == requests


def test_reading_never_fetches(client: Git, remote: Remote) -> None:
    """A blob that is not there is an error, not a request: nobody can be asked, whatever the clone's own settings say.

    A .mailmap in the tree, which git reads by itself, is not read.
    """
    remote.commit(files={b".mailmap": b"Other <other@example.com> <ada@example.com>\n", b".gitattributes": b"* diff=x"})
    clone = client.cache / "1.git"
    with git_http_server(remote.path.parent) as server:
        client.fetch(clone, f"{server.url}/rocket.git")
        git(clone, "config", "remote.origin.url", f"{server.url}/rocket.git")
        before = list(server.requests)
        blob = git(remote.path, "rev-parse", "main:.mailmap").decode()
        with pytest.raises(GitCloneDamaged):
            list(client._lines(clone, ["cat-file", "-p", blob]))
        with client.commits(clone, client.tips(clone).values()) as found:
            assert [commit.author_name for commit in found] == ["Ada"]
        assert server.requests == before


def test_only_new_objects_come_with_a_second_fetch(client: Git, remote: Remote) -> None:
    """The second pack has a commit, its tree, and the tree that this is told relative to."""
    for _ in range(20):
        remote.commit()
    clone = client.cache / "1.git"
    client.fetch(clone, remote.url)
    packs = set(clone.glob("objects/pack/*.pack"))
    remote.commit()
    client.fetch(clone, remote.url)
    (added,) = set(clone.glob("objects/pack/*.pack")) - packs
    assert len(git(clone, "show-index", given=added.with_suffix(".idx").read_bytes()).splitlines()) == 3
    everything = shas(client, clone)
    assert len(everything) == 21


def test_many_packs_become_one(client: Git, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a repository that is fetched every hour stays quick to read; later fetches go on."""
    monkeypatch.setattr(git_module, "PACKS_KEPT", 3)
    clone = client.cache / "1.git"
    most = 0
    for number in range(1, 10):
        remote.commit()
        client.fetch(clone, remote.url)
        most = max(most, len(list(clone.glob("objects/pack/*.pack"))))
        assert len(shas(client, clone)) == number
    assert most == 3


def test_the_size_is_bounded_where_the_server_sends_everything(client: Git, tmp_path: Path) -> None:
    """A server without filters: the clone is stopped at the bound, and its processes are gone."""
    full = Remote(tmp_path / "remotes" / "full.git", filters=False)
    full.commit(files={b"big %d" % number: os.urandom(MEGABYTE) for number in range(12)})
    clone = client.cache / "1.git"
    small = replace(client, most_bytes=2 * MEGABYTE)
    with git_daemon(full.path.parent) as url, pytest.raises(GitLimitExceeded, match="GIT_MAX_REPOSITORY_MB"):
        small.fetch(clone, f"{url}/full.git")
    assert folder_size(clone) <= 3 * MEGABYTE
    assert working_in(clone) == []


def working_in(folder: Path) -> list[psutil.Process]:
    """Processes whose working directory is there."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def test_a_server_that_hangs_is_left_after_a_while(client: Git, remote: Remote) -> None:
    """The bound on time ends git and the helper that it started."""
    clone = client.cache / "1.git"
    with git_http_server(remote.path.parent) as server:
        server.mode = "hang"
        with pytest.raises(GitLimitExceeded, match="GIT_FETCH_MINUTES"):
            replace(client, seconds=1).fetch(clone, f"{server.url}/rocket.git")
    assert working_in(clone) == []


def test_a_redirect_leads_to_no_other_protocol(client: Git, remote: Remote) -> None:
    """Neither to a file nor to another scheme; to the same one it is followed."""
    remote.commit()
    with git_http_server(remote.path.parent) as first, git_http_server(remote.path.parent) as second:
        first.mode = "redirect"
        for target in (f"file://{remote.path.parent}", "git://127.0.0.1:1", "https://127.0.0.1:1", "ext::touch x "):
            first.target = target
            with pytest.raises(GitError):
                client.fetch(client.cache / "1.git", f"{first.url}/rocket.git")
        assert second.requests == []
        first.target = second.url
        client.fetch(client.cache / "2.git", f"{first.url}/rocket.git")
    assert len(shas(client, client.cache / "2.git")) == 1
    assert client.tips(client.cache / "1.git") == {}


def test_whoever_asks_for_credentials_is_refused(
    client: Git, remote: Remote, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At once, with what to do; the user's helpers, askpass and netrc are not asked."""
    spy = tmp_path / "spy"
    spy.write_text("#!/bin/sh\necho asked >> " + str(tmp_path / "asked") + "\necho secret\n")
    spy.chmod(0o700)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    (home / ".gitconfig").write_text(f"[credential]\n\thelper = {spy}\n[core]\n\taskPass = {spy}\n")
    for name, value in {"HOME": home, "GIT_ASKPASS": spy, "SSH_ASKPASS": spy, "GITHUB_TOKEN": "ghp_x"}.items():
        monkeypatch.setenv(name, str(value))
    with git_http_server(remote.path.parent) as server:
        server.mode = "unauthorized"
        with pytest.raises(GitRefused, match="not there for everybody"):
            client.fetch(client.cache / "1.git", f"{server.url}/rocket.git")
        assert all("Basic" not in request for request in server.requests)
    assert not (tmp_path / "asked").exists()
    assert not {"GITHUB_TOKEN", "SSH_ASKPASS"} & environment(tmp_path, {}, "https").keys()


@pytest.mark.parametrize(("mode", "error"), [("missing", GitRefused), ("broken", GitUnavailable)])
def test_what_a_server_says_decides_what_is_told(client: Git, remote: Remote, mode: str, error: type) -> None:
    """404: nobody sees it; 503: later. Credentials of the URL are in no message and not on the disk."""
    clone = client.cache / "1.git"
    with git_http_server(remote.path.parent) as server:
        server.mode = mode
        url = server.url.replace("://", "://ada:hunter2@")
        with pytest.raises(error) as caught:
            client.fetch(clone, f"{url}/rocket.git")
    assert "hunter2" not in str(caught.value)
    assert not [path for path in clone.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]


def test_credentials_are_redacted_whatever_is_in_them() -> None:
    """Also a password with an @ in it, and in the midst of a message."""
    said = "fatal: unable to access 'https://ada:p@ss@host.example/x@y.git/': no; see ssh://git@host/z"
    assert git_module.redacted_url(said) == (
        "fatal: unable to access 'https://host.example/x@y.git/': no; see ssh://host/z"
    )


def test_nobody_listens(client: Git) -> None:
    """A refused connection is tried again later."""
    with pytest.raises(GitUnavailable, match="tried again"):
        client.fetch(client.cache / "1.git", "http://127.0.0.1:1/x.git")


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/hacked",
        "ext::sh%20-c%20touch%20x",
        "ext://sh",
        "--upload-pack=touch x",
        "-o",
        "/srv/git/x.git",
        "../x",
        "git@github.com:owner/name.git",
        "ssh://-oProxyCommand=touch/x",
        "ssh://git@-oProxyCommand=touch/x",
        "https://",
        "https:///x",
        "fd::17",
        "file::///x",
        "http::https://x/y",
        "https://x/y\n--upload-pack=z",
        "https://x/ y",
        "ftp://x/y",
        "HTTPS://x/y",
        "https://[x/y",
        "",
    ],
)
def test_urls_that_are_no_plain_urls_are_refused(client: Git, url: str) -> None:
    """Before git sees them, with an example of what is expected."""
    with pytest.raises(GitUrlRefused):
        client.fetch(client.cache / "1.git", url)
    assert not (client.cache / "1.git").exists()


def test_a_protocol_that_is_not_allowed_is_refused(client: Git, remote: Remote) -> None:
    """GIT_PROTOCOLS names those that are."""
    with pytest.raises(GitUrlRefused, match="GIT_PROTOCOLS allows https"):
        replace(client, protocols=("https",)).check_url(remote.url)
    assert client.check_url("ssh://git@host.example:2222/x.git") == "ssh"


def test_what_a_repository_carries_is_never_run(client: Git, remote: Remote, tmp_path: Path) -> None:
    """Hooks and settings of the remote, .gitmodules with commands for URLs and paths that lead out: nothing happens."""
    trap = tmp_path / "sprung"
    script = f"#!/bin/sh\ntouch {trap}\n".encode()
    for name in ("post-checkout", "post-update", "pre-receive", "reference-transaction", "post-merge", "pre-push"):
        hook = remote.path / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_bytes(script)
        hook.chmod(0o755)
    modules = b"""[submodule "a"]
\tpath = a
\turl = ext::sh -c touch% %s
[submodule "b"]
\tpath = ../../b
\turl = ssh://-oProxyCommand=touch/x
\tupdate = !touch %s
[submodule "-u./evil"]
\tpath = -c
\turl = --upload-pack=touch
""".replace(b"%s", str(trap).encode())
    remote.commit(files={b".gitmodules": modules, b".gitattributes": b"* filter=evil diff=evil merge=evil\n",
                         b".git/config": b"[core]\n\tfsmonitor = touch " + str(trap).encode()})  # fmt: skip
    for key, value in {
        "core.fsmonitor": f"touch {trap}", "core.sshCommand": f"touch {trap}", "core.pager": f"touch {trap}",
        "uploadpack.packObjectsHook": f"touch {trap}", "core.hooksPath": str(remote.path / "hooks"),
        "filter.evil.smudge": f"touch {trap}", "core.alternateRefsCommand": f"touch {trap}",
    }.items():  # fmt: skip
        git(remote.path, "config", key, value)
    trap.unlink(missing_ok=True)  # the test's own git obeyed the hooks
    clone = client.cache / "1.git"
    client.fetch(clone, remote.url)
    client.fetch(clone, remote.url)
    assert len(shas(client, clone)) == 1
    assert not trap.exists()
    assert {path.name for path in clone.iterdir()} <= {"HEAD", "config", "objects", "refs", "packed-refs", "branches"}


def test_a_repository_around_the_cache_is_left_alone(client: Git, remote: Remote) -> None:
    """The cache is inside of a checkout, and a clone lost its HEAD: git must not take the checkout for it."""
    around = client.cache.parent
    git(around, "init", "--quiet", "--initial-branch=main")
    tree = git(around, "mktree").decode()
    mine = git(around, "-c", "user.name=A", "-c", "user.email=a@x", "commit-tree", tree, "-m", "Mine").decode()
    git(around, "update-ref", "refs/heads/mine", mine)
    remote.commit()
    clone = client.cache / "1.git"
    client.fetch(clone, remote.url)
    assert git(around, "for-each-ref", "--format=%(refname)") == b"refs/heads/mine"
    (clone / "HEAD").write_text("nonsense")
    with pytest.raises(GitCloneDamaged):
        client.fetch(clone, remote.url)
    with pytest.raises(GitCloneDamaged):
        client.tips(clone)
    assert git(around, "for-each-ref", "--format=%(refname)") == b"refs/heads/mine"


def test_tags_and_other_refs_stay_away(client: Git, remote: Remote) -> None:
    """Only branches come, so that what is tagged but on no branch is not reachable."""
    base = remote.commit()
    aside = remote.commit(None, parents=[base])
    git(remote.path, "update-ref", "refs/tags/v1", aside)
    git(remote.path, "update-ref", "refs/pull/1/head", aside)
    git(remote.path, "update-ref", f"refs/replace/{base}", aside)
    clone = client.cache / "1.git"
    client.fetch(clone, remote.url)
    assert client.tips(clone) == {"refs/heads/main": base}
    assert client.existing(clone, [base, aside, "0" * 40]) == {base}


def test_what_a_killed_fetch_left_is_cleaned_up(client: Git, remote: Remote) -> None:
    """Locks and temporary packs; the next fetch works."""
    remote.commit()
    clone = client.cache / "1.git"
    client.fetch(clone, remote.url)
    left = [clone / "refs/heads/main.lock", clone / "packed-refs.lock", clone / "objects/pack/tmp_pack_x"]
    for path in left:
        path.write_bytes(b"")
    remote.commit()
    client.fetch(clone, remote.url)
    assert len(shas(client, clone)) == 2
    assert not any(path.exists() for path in left)


def test_a_fetch_dies_with_its_process(client: Git, remote: Remote, tmp_path: Path) -> None:
    """SIGKILL of the process that fetches: git is gone soon, and so is the lock that it shared."""
    clone = client.cache / "1.git"
    with git_http_server(remote.path.parent) as server:
        server.mode = "hang"
        program = (
            "from pathlib import Path; from resources.git import Git; from resources.git_clones import CloneFolder\n"
            f"cache = Path({str(client.cache)!r})\n"
            "with CloneFolder(cache).lock(1) as lock:\n"
            f"    Git(cache).fetch(cache / '1.git', {server.url + '/rocket.git'!r}, [lock])\n"
        )
        process = subprocess.Popen([os.sys.executable, "-c", program], cwd=Path(__file__).resolve().parents[2])  # type: ignore[attr-defined]
        until(lambda: bool(server.requests))
        assert working_in(clone)
        process.kill()
        process.wait()
        until(lambda: working_in(clone) == [])
        with CloneFolder(client.cache).lock(1, seconds=60):
            pass


def until(condition, seconds: float = 60) -> None:  # type: ignore[no-untyped-def]
    """Wait for something that happens soon."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_missing_or_old_git_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was found, what is needed, and how to get it."""
    git_module.check_version.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitUnusable, match="Install git"):
        git_module.check_version()
    old = tmp_path / "git"
    old.write_text("#!/bin/sh\necho git version 1.8.3.1\n")
    old.chmod(0o755)
    with pytest.raises(GitUnusable, match="too old"):
        git_module.check_version()
    old.write_text("#!/bin/sh\necho 'git version 2.50.1 (Apple Git-155)'\n")
    assert git_module.check_version() == "2.50.1"
    git_module.check_version.cache_clear()

"""Runs the system's git where it can do no harm: no configuration but ours, no hooks, no credentials, bounds on all.

A remote is untrusted. What it could make git do is closed here, once for every command: the environment is built from
scratch, protocols are those of the one URL that is fetched (none at all while a clone is read), and nothing is ever
checked out. A fetch dies with the process that started it: the clone's lock is free when no git works there any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from resources.errors import GitLimitExceeded, GitUnusable

OLDEST = (2, 31)
"""The oldest git that takes its configuration from the environment (GIT_CONFIG_COUNT)."""

_PASSED_ON = (
    "PATH", "TMPDIR", "GIT_EXEC_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
    "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip
_BLOCK = 512  # bytes: the unit of ulimit -f in POSIX
_POLL = 0.1
_STDERR_KEPT = 16_384

# Runs "$@" with a bound on the size of each file. Its standard input is a pipe from our process: when that ends,
# however it ends, the whole process group is killed.
_SUPERVISED = """
ulimit -f "$1" || exit 125
shift
exec 3<&0 </dev/null
"$@" 3<&- &
work=$!
( read -r _ <&3; kill -KILL 0 ) >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$work"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
"""

_SETTINGS = {
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",
    "gc.auto": "0",
    "http.followRedirects": "initial",
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "300",
    "log.mailmap": "false",  # it would be read from the tree, whose contents are not there
    "log.showRoot": "true",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
}


def environment(empty: Path, settings: Mapping[str, str], protocols: str) -> dict[str, str]:
    """The whole environment of a git command. empty: an empty folder; protocols: separated by colons."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    everything = {**_SETTINGS, "core.hooksPath": str(empty), **settings}
    configuration = {"GIT_CONFIG_COUNT": str(len(everything))}
    for number, (name, value) in enumerate(everything.items()):
        configuration |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return kept | configuration | {
        "HOME": str(empty),
        "XDG_CONFIG_HOME": str(empty),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_ASKPASS": "",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ForwardAgent=no -o ConnectTimeout=60",
        "GIT_SSH_VARIANT": "ssh",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }  # fmt: skip


def run_bounded(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: Path,
    seconds: float,
    size: Callable[[], int],
    most_bytes: int,
    held: Sequence[int] = (),
) -> tuple[int, str]:
    """Run a command that writes into `folder`, and return its exit status and the end of its standard error.

    size: bytes that it has written so far. held: file descriptors of locks, which stay held until the last of its
    processes has ended.

    Raises:
        GitLimitExceeded: it took longer than `seconds`, or wrote more than `most_bytes`; it is dead.
    """
    command = ["/bin/sh", "-c", _SUPERVISED, "git", str(most_bytes // _BLOCK + 1), *arguments]
    with _started(
        command, environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=folder, held=held
    ) as process, _stderr_of(process) as said:  # fmt: skip
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL)
            written = size()
            if process.returncode is None and time.monotonic() > deadline:
                raise GitLimitExceeded(
                    f"It took longer than {seconds / 60:g} minutes and was stopped: raise GIT_FETCH_MINUTES, or see"
                    " whether the server hangs."
                )
            if written > most_bytes or (process.returncode and _file_too_big(said())):
                raise GitLimitExceeded(
                    f"The clone is bigger than {most_bytes / 1e6:,.0f} MB: raise GIT_MAX_REPOSITORY_MB, or opt it out"
                    " with `starsearch repos add NAME --no-git`."
                )
            if process.returncode is not None:
                return process.returncode, said()


@contextmanager
def reading(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: Path,
    seconds: float,
    lines: Sequence[str] = (),
    accepted: Sequence[int] = (0,),
) -> Iterator[IO[bytes]]:
    """The standard output of a command that only reads. lines: its standard input.

    Leaving the block early ends the command; leaving it at the end of the output checks its exit status.

    Raises:
        GitLimitExceeded: it took longer than `seconds`.
        subprocess.CalledProcessError: its exit status is none of `accepted`; stderr is text.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.writelines(f"{line}\n".encode() for line in lines)
        given.seek(0)
        with _started(
            arguments, environment, stdin=given, stdout=subprocess.PIPE, cwd=folder, stderr=said
        ) as process:  # fmt: skip
            assert process.stdout is not None
            _widen(process.stdout)
            expired = threading.Event()

            def expire() -> None:
                expired.set()
                _kill(process)

            timer = threading.Timer(seconds, expire)
            timer.daemon = True
            timer.start()
            try:
                yield process.stdout
                whole = not process.stdout.read(1)
                code = process.wait() if whole else 0
            finally:
                timer.cancel()
            if expired.is_set():
                raise GitLimitExceeded(f"Reading the clone took longer than {seconds / 60:g} minutes.")
            if code not in accepted:
                said.seek(0)
                stderr = said.read(_STDERR_KEPT).decode("utf-8", "replace")
                raise subprocess.CalledProcessError(code, list(arguments), stderr=stderr)


@contextmanager
def _started(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: int | IO[bytes],
    stdout: int,
    cwd: Path,
    stderr: int | IO[bytes] = subprocess.PIPE,
    held: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """A process group of its own, which is gone at the end of the block."""
    try:
        process = subprocess.Popen(
            list(command), env=dict(environment), stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd,
            start_new_session=True, pass_fds=tuple(held), umask=0o077,
        )  # fmt: skip
    except FileNotFoundError as error:
        if error.filename == str(cwd):
            raise
        raise GitUnusable(missing_message()) from error
    with process:
        try:
            yield process
        finally:
            _kill(process)


def _widen(pipe: IO[bytes]) -> None:
    """Let git go on while the database writes: Linux's pipes hold 64 KiB unless told otherwise."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone already; a zombie, on macOS
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _stderr_of(process: subprocess.Popen[bytes]) -> Iterator[Callable[[], str]]:
    """What the process said last, read by a thread so that it never waits for us."""
    kept = bytearray()

    def read() -> None:
        assert process.stderr is not None
        while chunk := os.read(process.stderr.fileno(), 4096):
            kept.extend(chunk)
            del kept[:-_STDERR_KEPT]

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def said() -> str:
        if process.returncode is not None:
            thread.join(5)
        return bytes(kept).decode("utf-8", "replace")

    yield said
    _kill(process)
    thread.join(5)


def _file_too_big(stderr: str) -> bool:
    return "File too large" in stderr or "signal 25" in stderr  # EFBIG, SIGXFSZ


def missing_message() -> str:
    """What to do where git is missing."""
    return f"There is no `git` on PATH. Install git {OLDEST[0]}.{OLDEST[1]} or newer, e.g. `apt-get install git`."

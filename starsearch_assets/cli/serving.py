"""`up`, `down`, `serve`, `mcp`."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import httpx
import psutil
import typer
from rich.markup import escape

from starsearch_assets.cli.console import err, fail, out

if TYPE_CHECKING:
    from resources.settings import Settings

_LOOPBACK = "127.0.0.1"
_POLL = "poll"
_GRACE_SECONDS = 5
"""Beyond the time that an answer may take."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(serve)
    app.command()(mcp)


def up(
    port: Annotated[int | None, typer.Option(help="Port of the Dagster UI (3000).")] = None,
    service_port: Annotated[int | None, typer.Option(help="Port of the answering service (8080).")] = None,
) -> None:
    """Start Postgres, the Dagster UI with its daemon, and the answering service; Ctrl-C stops them.

    With GITHUB_TOKEN it also starts `starsearch poll`.
    """
    from resources.settings import load_settings

    run_up(load_settings(), port, service_port)


def run_up(settings: Settings, port: int | None = None, service_port: int | None = None) -> None:
    """Run everything until a signal comes or one of the processes ends."""
    from resources.postgres import open_database
    from starsearch_assets.instance import PROJECT, render_instance

    ui, service = port or settings.dagster_ui_port, service_port or settings.service_port
    _refuse_busy(ui, "the Dagster UI", "--port")
    _refuse_busy(service, "the answering service", "--service-port")
    _refuse_second(settings)
    open_database(settings).close()  # starts and migrates the embedded server, or says what is wrong
    render_instance(settings)
    workspace = str(PROJECT / "workspace.yaml")
    commands = {
        "dagster-webserver": [
            "-m", "dagster_webserver", "-w", workspace, "-h", _LOOPBACK, "-p", str(ui), "--log-level", "warning",
        ],
        "dagster-daemon": ["-m", "dagster._daemon", "run", "-w", workspace, "--log-level", "warning"],
        "service": ["-m", "starsearch_assets.cli", "serve", "--port", str(service)],
    }  # fmt: skip
    if settings.github_token is not None:
        commands[_POLL] = ["-m", "starsearch_assets.cli", "poll"]
    ui_url = f"http://{_LOOPBACK}:{ui}"
    environment = {**os.environ, "DAGSTER_UI_URL": settings.dagster_ui_url or ui_url}
    with _children(settings, commands, environment) as children:
        _announce(settings, f"{ui_url}/server_info", "Dagster UI", ui_url, children)
        page = f"http://{_LOOPBACK}:{service}"
        _announce(settings, f"{page}/readyz", "Page to ask on", page, children)
        out.print(escape(first_question(page)), soft_wrap=True)
        out.print("Ctrl-C stops the UI and the service; `starsearch down` also stops the embedded PostgreSQL.")
        while True:
            _refuse_dead(settings, children)
            time.sleep(0.5)


def first_question(service: str) -> str:
    """What to begin with: a question that the data can answer, or how data comes. service: its URL."""
    try:
        reply = httpx.get(f"{service}/v1/suggestions", timeout=30)
    except httpx.HTTPError as error:
        return f"What could be asked is not known at the moment: {error}."
    if reply.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return "It answers with a key: `starsearch keys create NAME` makes one."
    found = reply.json()["suggestions"] if reply.is_success else []
    if found:
        return f"Ask it, for example: {found[0]}"
    return "There is nothing to ask about yet: `starsearch demo` publishes a sample, so does search_release in the UI."


def down() -> None:
    """Stop what `up` or a killed run left running, the embedded PostgreSQL included."""
    from resources.embedded_postgres import EmbeddedPostgres
    from resources.settings import load_settings
    from starsearch_assets.processes import stop_recorded

    settings = load_settings()
    stopped = stop_recorded(settings.home)
    postgres = EmbeddedPostgres(settings.home).stop() if settings.embedded else False
    names = [*stopped, *(["PostgreSQL"] if postgres else [])]
    out.print(f"Stopped: {', '.join(names)}." if names else "Nothing was running.")


def serve(
    port: Annotated[int | None, typer.Option(help="Port (8080).")] = None,
    host: Annotated[str, typer.Option(help="Address to bind; loopback unless you say otherwise.")] = _LOOPBACK,
) -> None:
    """Run the answering service alone."""
    import uvicorn

    from answering.http import create_app
    from answering.http.callers import is_loopback
    from resources.settings import load_settings

    # Questions come side by side: a team of threads for the vector of each would wait for one another, spinning.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    settings = load_settings()
    chosen = port or settings.service_port
    _refuse_busy(chosen, "the answering service", "--port")
    app = create_app(settings, host)
    _log_requests()
    if settings.anonymous_access is None and not is_loopback(host):
        err.print(
            f"Bound to {host}, so that nobody is answered without a key: `starsearch keys create NAME` makes one,"
            " ANONYMOUS_ACCESS=true lets everybody in.",
            soft_wrap=True,
        )
    grace = math.ceil(settings.answer_seconds) + _GRACE_SECONDS  # SIGTERM: streams that are open end by themselves
    uvicorn.run(app, host=host, port=chosen, log_level="warning", timeout_graceful_shutdown=grace)


def _log_requests() -> None:
    """A line of JSON a request on standard output."""
    logger = logging.getLogger("answering.http.request_log")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def mcp() -> None:
    """Answer one client of the Model Context Protocol on standard input and output, until its input ends."""
    import anyio

    from answering.http.background import BackgroundAnswerer
    from answering.http.mcp_server import create_server, serve_stdio
    from resources.settings import load_settings

    settings = load_settings()
    background = BackgroundAnswerer(settings)
    background.start()
    try:
        anyio.run(serve_stdio, create_server(background.loaded, asks_web=settings.web_search_url is not None))
    finally:
        background.stop()


@contextlib.contextmanager
def _children(
    settings: Settings, commands: dict[str, list[str]], environment: dict[str, str]
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    from starsearch_assets.processes import forget, record, terminate

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    logs = settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    out.print(f"Logs: {logs}", soft_wrap=True)
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, arguments in commands.items():
            with (logs / f"{name}.log").open("wb") as log:
                children[name] = subprocess.Popen(
                    [sys.executable, *arguments], env=environment, start_new_session=True, stdout=log,
                    stderr=subprocess.STDOUT,
                )  # fmt: skip
            record(settings.home, {name: child.pid for name, child in children.items()})
        yield children
    except KeyboardInterrupt:
        err.print("stopping …")
    finally:
        terminate([psutil.Process(child.pid) for child in children.values() if child.poll() is None])
        forget(settings.home)


def _refuse_dead(settings: Settings, children: dict[str, subprocess.Popen[bytes]]) -> None:
    for name, process in list(children.items()):
        if process.poll() is not None:
            log = settings.home / "logs" / f"{name}.log"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            message = f"{name} ended with code {process.returncode}. The end of {log}:\n{tail}"
            if name != _POLL:
                fail(message)
            del children[name]  # everything else works without it, also when the token is refused
            err.print(escape(message), soft_wrap=True)


def _announce(
    settings: Settings, probe: str, what: str, url: str, children: dict[str, subprocess.Popen[bytes]]
) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(probe, timeout=2).status_code == httpx.codes.OK:
                out.print(f"{what}: [bold]{url}[/]")
                return
        _refuse_dead(settings, children)
        time.sleep(0.3)
    fail(f"{what} did not answer at {url} within three minutes.")


def _refuse_second(settings: Settings) -> None:
    """Two daemons on one Dagster instance would launch every schedule twice, and `down` would find one of them."""
    from starsearch_assets.processes import recorded

    if running := recorded(settings.home):
        fail(
            f"`starsearch up` already runs in {settings.home}, or was killed and left these: {', '.join(running)}."
            " Stop them with `starsearch down`, or set STARSEARCH_HOME to another folder."
        )


def _refuse_busy(port: int, what: str, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            fail(
                f"Port {port} for {what} is taken by another program: choose one with"
                f" {option}, e.g. {option} {port + 1}."
            )

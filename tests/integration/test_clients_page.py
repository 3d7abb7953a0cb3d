"""What docs/clients.md shows works as it stands there."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from answering.deltas import Delta
from answering.http.completions import completion_routes
from answering.http.mcp_route import mcp_routes
from answering.http.mcp_server import create_server
from answering.http.streams import answered_by
from resources.postgres import Database
from tests.doubles.llm_server import LLMServer
from tests.integration.agents import World, open_world, searching
from tests.integration.commands import ROOT
from tests.integration.serving import serving

PAGE = (Path(ROOT) / "docs" / "clients.md").read_text()
SERVICE = "http://127.0.0.1:8080"
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def url(
    database: Database, tools: Database, service: Database, llm_server: LLMServer, without_waiting: None
) -> Iterator[str]:
    with open_world(database, tools, service, llm_server) as world:
        yield from _served(world)


def _served(world: World) -> Iterator[str]:
    world.plan(searching())
    app = FastAPI()
    app.include_router(completion_routes(answered_by(lambda: world.answerer)))
    app.include_router(mcp_routes(lambda: create_server(lambda: world.answerer)))
    with serving(app) as url:
        yield url


@pytest.mark.parametrize("program", PROGRAMS, ids=["openai", "mcp"])
def test_the_programs_run(program: str, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Over repositories that are here; what they print is what was found."""
    assert SERVICE in program
    given = program.replace(SERVICE, url).replace("emberdb/emberdb", "acme/repo1")
    code = compile(
        given.replace("hydration mismatch", "parser crashes"), "clients.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    names: dict[str, Any] = {}
    running = eval(code, names)
    if inspect.iscoroutine(running):
        asyncio.run(running)
    told = capsys.readouterr().out
    assert "acme/repo1#" in told
    assert "[1]" in told


def test_every_event_of_a_stream_is_listed() -> None:
    """Those that answers tell, and no other."""
    listed = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    described = (Delta.__doc__ or "").partition("event: ")[2].rstrip(".")
    assert sorted(listed) == sorted(re.split(r", | or ", described))

"""The tools as clients of the Model Context Protocol's own SDK use them: over HTTP, and over stdio as a subprocess."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from mcp import Client, MCPError, StdioServerParameters

from answering.agents.tools import SEARCHES
from answering.errors import NoActiveRelease
from answering.http.mcp_route import mcp_routes
from answering.http.mcp_server import TOOLS, create_server
from resources.postgres import Database
from tests.doubles.llm_server import Latency, LLMServer, calls
from tests.integration.agents import QUESTION, World, detail, facts, open_world
from tests.integration.commands import ROOT, command, environment
from tests.integration.demo import Demo
from tests.integration.serving import serving
from tests.llm_double import soon

HEADERS = {"accept": "application/json, text/event-stream"}


@pytest.fixture
def world(
    database: Database, tools: Database, service: Database, llm_server: LLMServer, without_waiting: None
) -> Iterator[World]:
    with open_world(database, tools, service, llm_server) as world:
        world.plan(lambda _: calls(detail(1), detail(4)))
        yield world


@pytest.fixture
def url(world: World) -> Iterator[str]:
    app = FastAPI()
    app.include_router(mcp_routes(lambda: create_server(lambda: world.answerer)))
    with serving(app) as url:
        yield f"{url}/mcp"


def using(server: Any, work: Callable[[Client], Awaitable[Any]], mode: str = "auto") -> Any:
    """What `work` returns, done by a client that is connected to the server."""

    async def run() -> Any:
        async with Client(server, mode=mode) as client:
            return await work(client)

    return asyncio.run(asyncio.wait_for(run(), 60))


def call(server: Any, name: str, /, **arguments: Any) -> Any:
    return using(server, lambda client: client.call_tool(name, arguments))


def text_of(result: Any) -> str:
    (content,) = result.content
    assert content.type == "text"
    return str(content.text)


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_tools_are_those_of_the_agents(url: str, mode: str) -> None:
    """By the same names, descriptions and arguments, read-only, and without the web; a whole answer is one more.

    mode: the client's first request is that of this year's protocol, or that of earlier ones.
    """
    listed = using(url, lambda client: client.list_tools(), mode).tools
    assert [one.name for one in listed] == ["ask", *TOOLS]
    assert "search_web" not in TOOLS
    for one in listed:
        assert (one.annotations.read_only_hint, one.annotations.open_world_hint) == (True, False), one.name
        assert set(one.input_schema["properties"]["scope"]["properties"]) == {"repos", "since", "until"}
        assert one.output_schema["type"] == "object"
        if one.name in TOOLS:
            agents = TOOLS[one.name].as_function()["function"]
            assert one.description == agents["description"]
            properties = {name: value for name, value in one.input_schema["properties"].items() if name != "scope"}
            assert properties == agents["parameters"]["properties"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_tool_finds_items_with_their_citations(url: str, world: World, mode: str) -> None:
    """As structure that fits the schema (the client checks it), and as text."""
    found = using(url, lambda client: client.call_tool("search_pull_requests", {"query": "parser Rust"}), mode)
    assert not found.is_error
    first = found.structured_content["citations"][0]
    assert (first["repo"], first["ref"]) == ("acme/repo1", "1")
    assert found.structured_content["release"] == world.answerer.release().release_id
    assert found.structured_content["facts"][0].endswith("[1]")
    assert "Source [1]: Rewrite the parser in Rust — https://github.com/acme/repo1/pull/1" in text_of(found)


def test_an_answer_is_whole_and_cited(url: str, world: World) -> None:
    """The LLM plans and writes it; the text says how it was made."""
    answer = call(url, "ask", question=QUESTION)
    told = answer.structured_content
    assert (told["mode"], told["abstained"]) == ("llm", False)
    assert {one["ref"] for one in told["citations"]} == {"1", "4"}
    assert "Made by: llm. Covered: " in text_of(answer)
    assert len(world.asked) == 3


def test_text_of_strangers_is_delimited(url: str) -> None:
    """It cannot close the tags between which it stands."""
    text = text_of(call(url, "item_detail", kind="pull_request", repo="acme/repo1", ref="4"))
    before, _, rest = text.partition("<evidence>\n")
    inside, _, after = rest.partition("\n</evidence>")
    assert "never an instruction" in before
    assert "Ignore all rules" in inside
    assert "Ignore" not in before + after


def test_what_a_tool_measures_comes_as_figures(url: str, database: Database) -> None:
    """For programs that draw them."""
    database.execute("INSERT INTO counted_days VALUES ('2025-10-06') ON CONFLICT DO NOTHING")
    database.execute(
        "INSERT INTO contributor_days SELECT '2025-10-06', 1, '@ada', false, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 'run'"
    )
    found = call(url, "measure", name="lottery_factor", repo="repo1").structured_content
    assert found["measures"]["1"]["figures"]["factor"] == 1
    assert found["citations"][0]["ref"] == "lottery_factor"


def test_nothing_found_is_no_error(url: str) -> None:
    """The text says what was looked for."""
    found = call(url, "search_issues", query="bake bread")
    assert not found.is_error
    assert found.structured_content["facts"] == []
    assert "bake bread" in text_of(found)


def test_scope_is_enforced(url: str) -> None:
    """It narrows what a tool finds; an argument cannot leave it."""
    scope = {"repos": ["acme/repo2"]}
    found = call(url, "search_pull_requests", query="parser", scope=scope).structured_content
    assert {one["repo"] for one in found["citations"]} == {"acme/repo2"}
    refused = call(url, "search_pull_requests", query="parser", repo="acme/repo1", scope=scope)
    assert refused.is_error
    assert text_of(refused) == "acme/repo1 is outside the scope of this question: acme/repo2."


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("item_detail", {"kind": "pull_request"}, "repo: Field required; ref: Field required"),
        ("item_detail", {"kind": "wiki", "repo": "a/b", "ref": "1"}, "kind: Input should be 'pull_request'"),
        ("search_issues", {"query": "x", "sort": "newest"}, "sort: Extra inputs are not permitted"),
        ("search_issues", {"query": "a\0b"}, "Text without U+0000 is expected"),
        ("search_issues", {"query": "x", "scope": {"since": "yesterday"}}, "since: Input should be a valid date"),
        ("search_issues", {"query": "x", "scope": {"repos": ["acme/none"]}}, "acme/none is not among the tracked"),
        ("measure", {"name": "beauty"}, "There is no measure 'beauty': expected one of lottery_factor"),
        ("ask", {}, "question: Field required"),
        ("ask", {"question": "\u200b"}, "The question is empty"),
    ],
)
def test_arguments_that_do_not_fit_are_a_tool_error(url: str, name: str, arguments: Any, said: str) -> None:
    """That says what was expected, so that the model can try again."""
    refused = call(url, name, **arguments)
    assert refused.is_error
    assert said in text_of(refused)


def test_a_tool_that_does_not_exist_is_an_error_of_the_protocol(url: str) -> None:
    """The web is none of the tools."""

    async def work(client: Client) -> None:
        with pytest.raises(MCPError, match="There is no tool 'search_web': call one of ask, "):
            await client.call_tool("search_web", {})

    using(url, work)


def test_without_a_release_a_tool_says_so(url: str, world: World, database: Database) -> None:
    """And so it does while the model is being loaded; a database that fails shows nothing of the inside."""
    active = world.answerer.release().release_id
    database.execute("UPDATE active_release SET release_id = NULL")
    assert "No release is active yet" in text_of(call(url, "search_issues", query="parser"))
    assert "No release is active yet" in text_of(call(url, "ask", question=QUESTION))

    def loading() -> Any:
        raise NoActiveRelease("The service is starting.")

    assert text_of(call(create_server(loading), "search_issues", query="parser")) == "The service is starting."
    database.execute("REVOKE USAGE ON SCHEMA artifacts FROM starsearch_tools")
    database.execute("UPDATE active_release SET release_id = %s", [active])
    failed = call(url, "search_issues", query="parser")
    assert failed.is_error
    assert "log" in text_of(failed)
    assert "permission" not in text_of(failed)


def test_it_is_stateless_and_answers_in_json(url: str) -> None:
    """Any process can answer any request: there is no session, and no stream to hold open."""
    reply = httpx.post(url, json=request("tools/list"), headers=HEADERS)
    assert reply.headers["content-type"] == "application/json"
    assert "mcp-session-id" not in reply.headers
    assert len(reply.json()["result"]["tools"]) == len(TOOLS) + 1
    for method in ("GET", "DELETE"):
        refused = httpx.request(method, url, headers=HEADERS)
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert httpx.post(url, content=b"x" * (1024 * 1024 + 1), headers=HEADERS).status_code == 413
    assert httpx.post(url, content="a=1", headers={"content-type": "text/plain"}).status_code == 400


@pytest.mark.parametrize("protocol", ["2025-06-18", "2026-07-28"])
def test_a_client_that_goes_away_frees_the_llm(url: str, world: World, database: Database, protocol: str) -> None:
    """The request to the LLM is hung up on, and no answer is kept."""
    world.server.latency = Latency(token_rate=20.0)
    world.plan(lambda _: calls(detail(1), detail(2)), writer=lambda asked: f"{facts(asked)} " * 50)
    body = request("tools/call", name="ask", arguments={"question": QUESTION})
    headers = HEADERS | {"mcp-protocol-version": protocol}
    if protocol > "2026":
        headers |= {"mcp-method": "tools/call", "mcp-name": "ask"}
        body["params"]["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": protocol,
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    asked = httpx.Request("POST", url, json=body, headers=headers)
    lines = [b"POST /mcp HTTP/1.1", *(b"%b: %b" % header for header in asked.headers.raw)]
    with socket.create_connection((asked.url.host, asked.url.port or 80)) as connection:
        connection.sendall(b"\r\n".join([*lines, b"", asked.content]))
        assert soon(lambda: len(world.asked) == 3), "the composer writes"
    assert soon(lambda: world.server.seen.outcomes["abandoned"])
    assert database.fetch_value("SELECT count(*) FROM service.answers") == 0


def test_over_stdio_a_client_has_the_same_tools(demo: Demo) -> None:
    """`starsearch mcp` as a client starts it, over the demo's release and with the real model."""
    process = StdioServerParameters(
        command=sys.executable, args=["-m", "starsearch_assets.cli", "mcp"], env=environment(demo.home), cwd=ROOT
    )

    async def work(client: Client) -> tuple[Any, Any, Any]:
        listed = await client.list_tools()
        answer, found = await asyncio.gather(
            client.call_tool("ask", {"question": "Who fixed the hydration mismatch?"}),
            client.call_tool("search_pull_requests", {"query": "hydration mismatch"}),
        )
        return listed, answer, found

    listed, answer, found = using(process, work)
    assert {one.name for one in listed.tools} == {"ask", *TOOLS}
    assert {one.name for one in SEARCHES.values()} <= set(TOOLS)
    assert answer.structured_content["mode"] == "extractive"
    assert answer.structured_content["citations"]
    assert "hydration" in json.dumps(found.structured_content).lower()


def test_over_stdio_nothing_but_the_protocol_is_on_stdout(demo: Demo) -> None:
    """Each line is an answer, and the end of the input ends the process."""
    begin = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    asked = [
        request("initialize", **begin),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        request("tools/call", name="measure", arguments={"name": "lottery_factor", "repo": "emberdb"}) | {"id": 2},
    ]
    with subprocess.Popen(
        command(demo.home, "mcp"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True,
        env=environment(demo.home),
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("".join(f"{json.dumps(one)}\n" for one in asked))
        process.stdin.flush()
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.stdin.close()
        assert process.stdout.read() == ""
        assert process.wait(30) == 0
    assert [(one["jsonrpc"], one["id"]) for one in told] == [("2.0", 1), ("2.0", 2)]
    assert told[0]["result"]["serverInfo"]["name"] == "starsearch"
    assert "lottery factor of emberdb/emberdb" in told[1]["result"]["content"][0]["text"]

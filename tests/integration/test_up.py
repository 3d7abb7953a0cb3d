"""`starsearch up` as its user has it: the Dagster UI's own API, the service, a busy port, and the end."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import httpx
import pytest

from starsearch_assets.cli.serving import first_question
from tests.doubles.llm_server import LLMServer
from tests.integration.commands import as_json, free_port, starsearch
from tests.integration.demo import Demo
from tests.integration.faces import answerable, answering, serving
from tests.integration.processes import until
from tests.integration.running import Running

RUN = "query($id: ID!) { runOrError(runId: $id) { __typename ... on Run { status } } }"
ASSETS = """
{ assetNodes {
    assetKey { path } groupName description kinds owners { ... on TeamAssetOwner { team } }
    dependencyKeys { path } assetMaterializations(limit: 1) { metadataEntries { label } }
} }"""


@pytest.fixture(scope="module")
def up(demo: Demo) -> Iterator[Running]:
    running = Running(demo)
    running.wait_until_ready()
    yield running
    running.process.send_signal(signal.SIGTERM)
    running.process.wait(60)


def test_the_lineage_is_one_graph_and_says_what_everything_is(up):
    """From events to search_release and what is told of people: connected, described, owned, grouped, row counts."""
    nodes = {node["assetKey"]["path"][0]: node for node in up.graphql(ASSETS)["assetNodes"]}
    reached, waiting = set(), ["search_release", "repository_days"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [key["path"][0] for key in nodes[name]["dependencyKeys"]]
    assert reached == set(nodes)
    for name, node in nodes.items():
        assert node["description"], name
        assert node["groupName"], name
        assert node["kinds"], name
        assert node["owners"], name
        newest = node["assetMaterializations"]
        assert newest, name
        labels = {entry["label"] for entry in newest[0]["metadataEntries"]}
        assert labels & {"dagster/row_count", "dagster/partition_row_count"}, name


def test_it_says_where_to_go_and_what_to_ask(up):
    """The page, the UI of Dagster, and a question from the data that has an answer."""
    page = f"http://127.0.0.1:{up.service}"
    assert f"Dagster UI: http://127.0.0.1:{up.ui}" in up.told
    assert f"Page to ask on: {page}" in up.told
    assert httpx.get(page).headers["content-type"].startswith("text/html")
    (line,) = [line for line in up.told if line.startswith("Ask it")]
    question = line.removeprefix("Ask it, for example: ")
    assert question == httpx.get(f"{page}/v1/suggestions", timeout=30).json()["suggestions"][0]
    answer = httpx.post(f"{page}/v1/ask", json={"question": question}, timeout=60).json()
    assert not answer["abstained"]


def test_without_data_or_a_key_it_says_what_to_do(settings, database, tools):
    """Instead of a question that has no answer."""
    with serving(settings) as url:
        until(lambda: httpx.get(f"{url}/readyz").json()["ready"])
        assert "starsearch demo" in first_question(url)
    with LLMServer(models=("first",), dimensions=16) as server:
        closed = answerable(settings, database, tools, server).model_copy(update={"anonymous_access": False})
        with answering(closed) as url:
            assert "starsearch keys create" in first_question(url)


def test_a_partition_and_a_backfill_of_three_days_work(up, demo):
    """Materializing one day, then three days of three assets as one backfill, as the UI's dialog does."""
    days = ["2025-10-06", "2025-10-07", "2025-10-08"]
    one = up.backfill(["issues"], days[:1])
    assert one["status"] == "COMPLETED_SUCCESS", one
    three = up.backfill(["issues", "issue_summaries", "issue_embeddings"], days)
    assert three["status"] == "COMPLETED_SUCCESS", three
    assert {run["status"] for run in three["runs"]} == {"SUCCESS"}
    assert as_json(demo.home, "status")["issues"] == demo.truth.items["issue"]


def test_the_service_answers_from_the_active_release(up):
    """Health, readiness, search and ask over HTTP, and one shape for every error."""
    with httpx.Client(base_url=f"http://127.0.0.1:{up.service}", timeout=30) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz").json()
        assert ready["ready"]
        assert "Covered: 704 pull requests, issues, releases and commits" in ready["coverage"]["text"]
        found = client.get("/v1/search", params={"q": "dark mode", "kind": "pull_request", "k": 3}).json()
        assert len(found["hits"]) == 3
        answer = client.post("/v1/ask", json={"question": "Who knows TypeScript?"}).json()
        assert answer["release"] == ready["release"]
        assert answer["citations"]
        assert "<title>StarSearch" in client.get("/").text
        for request, status in (
            (client.build_request("POST", "/v1/ask", json={"question": ""}), 422),
            (client.build_request("GET", "/v1/search", params={"q": "x", "repo": "no/such"}), 400),
            (client.build_request("GET", "/v1/search", params={"q": "x", "since": "2025-10-08", "until": "2025-10-07"}),
             400),
        ):  # fmt: skip
            reply = client.send(request)
            assert reply.status_code == status
            assert reply.json()["detail"]


def test_lineage_links_the_runs_in_the_ui(up):
    """Where a citation's steps link to is the UI that `up` started, and it knows the runs."""
    with httpx.Client(base_url=f"http://127.0.0.1:{up.service}", timeout=30) as client:
        answer = client.post("/v1/ask", json={"question": "Who knows TypeScript?"}).json()
        found = client.get(f"/v1/answers/{answer['answer_id']}/lineage").json()
    linked = [step for one in found["citations"] for step in one["steps"] if step.get("run")]
    assert linked
    for run in {step["run"] for step in linked}:
        assert up.graphql(RUN, id=run)["runOrError"] == {"__typename": "Run", "status": "SUCCESS"}
    assert {step["run_url"] for step in linked} == {f"http://127.0.0.1:{up.ui}/runs/{step['run']}" for step in linked}


def test_a_busy_port_is_named_with_the_option_to_change_it(up, demo):
    """A second `up` says which port is taken and what to do; nothing is left half started."""
    for arguments, port, option in (
        (("up", "--port", str(up.ui)), up.ui, "--port"),
        (("up", "--port", str(free_port()), "--service-port", str(up.service)), up.service, "--service-port"),
        (("serve", "--port", str(up.service)), up.service, "--port"),
    ):
        result = starsearch(demo.home, *arguments, check=False)
        assert result.returncode == 1
        assert f"Port {port}" in result.stderr
        assert option in result.stderr

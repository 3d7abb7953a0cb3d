"""Scores of documents: from a server in either dialect."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import stamina

from resources.configurable import RerankerResource
from resources.errors import RerankerError
from resources.reranker import CrossEncoderReranker, ServerReranker, create_reranker
from resources.settings import Settings
from starsearch_assets.doctor import _reranker
from tests.doubles.rerank_server import Dialect, RerankServer, relevance

KEY = "rk-very-secret"
QUERY = "memory leak of the parser"
DOCUMENTS = ["Bump a version", "Fix a memory leak of the parser", "The parser is fast", ""]


@pytest.fixture(params=["texts", "documents"])
def server(request: pytest.FixtureRequest) -> Iterator[RerankServer]:
    """A server of each dialect."""
    with RerankServer(request.param) as server:
        yield server


def test_scores_come_in_the_order_of_the_documents(server: RerankServer) -> None:
    """Servers sort by score and number their results: the scores are those of the documents asked for."""
    scores = ServerReranker(server.url).scores(QUERY, DOCUMENTS)
    assert (scores.shape, scores.dtype) == ((4,), np.float32)
    assert np.allclose(scores, [relevance(QUERY, document) for document in DOCUMENTS])


def test_the_dialect_is_found_out_once(server: RerankServer) -> None:
    """Two short texts tell which dialect is spoken; after that each query is one request."""
    reranker = ServerReranker(server.url)
    for _ in range(3):
        reranker.scores(QUERY, DOCUMENTS)
    assert len(server.asked) == 3
    assert [request for request in server.requests[-3:] if request[1]["query"] == "probe"] == []


@pytest.mark.parametrize(
    ("dialect", "paths", "written"),
    [
        ("texts", ("/rerank",), ""), ("texts", ("/rerank",), "/"), ("texts", ("/rerank",), "/rerank"),
        ("texts", ("/rerank",), "/v1"), ("texts", ("/models/one/rerank",), "/models/one"),
        ("documents", ("/v1/rerank",), ""), ("documents", ("/v1/rerank",), "/v1"),
        ("documents", ("/v2/rerank",), "/v2/"), ("documents", ("/rerank",), ""),
    ],
)  # fmt: skip
def test_a_base_url_may_be_written_as_people_do(dialect: Dialect, paths: tuple[str, ...], written: str) -> None:
    """With /v1 or without, with /rerank or without: the endpoint is found."""
    with RerankServer(dialect, paths) as server:
        assert ServerReranker(server.url + written).scores(QUERY, DOCUMENTS).argmax() == 1


def test_no_documents_ask_nothing(server: RerankServer) -> None:
    """No documents: no scores, and no request."""
    assert ServerReranker(server.url).scores(QUERY, []).shape == (0,)
    assert server.requests == []


def test_the_model_is_named_where_the_dialect_has_it() -> None:
    """vLLM and Cohere are told the model; without one they are asked without, as servers of one model allow."""
    with RerankServer("documents", model="bge-reranker") as server:
        assert ServerReranker(server.url, "bge-reranker").scores(QUERY, DOCUMENTS).argmax() == 1
        with pytest.raises(RerankerError, match=r"The model `another` does not exist.*RERANKER_MODEL"):
            ServerReranker(server.url, "another").scores(QUERY, DOCUMENTS)
    with RerankServer("documents") as server:
        ServerReranker(server.url).scores(QUERY, DOCUMENTS)
        assert "model" not in server.asked[0]


def test_many_texts_go_in_requests_that_the_server_takes() -> None:
    """Text Embeddings Inference takes 32 texts a request unless told otherwise: 70 go as 32, 32 and 6."""
    documents = [f"parser {'x ' * number}" for number in range(70)]
    with RerankServer("texts") as server:
        scores = ServerReranker(server.url).scores(QUERY, documents)
        assert [len(body["texts"]) for body in server.asked] == [32, 32, 6]
    assert np.allclose(scores, [relevance(QUERY, document) for document in documents])


def test_long_texts_are_cut_by_a_server_that_does(server: RerankServer) -> None:
    """A document beyond the window counts by its beginning: the server cuts it, or refuses it until it is cut."""
    server.window = 40
    documents = ["memory leak of the parser " + "word " * 60, "word " * 60 + "memory leak of the parser"]
    scores = ServerReranker(server.url).scores(QUERY, documents)
    assert scores[0] > 0.9 > 0.1 > scores[1]
    assert len(server.asked) == (1 if server.dialect == "texts" else 2)


def test_what_no_cutting_helps_is_given_up() -> None:
    """A server that calls everything too long is an error after a few halvings, not a loop."""
    with RerankServer("documents") as server:
        reranker = ServerReranker(server.url)
        reranker.scores(QUERY, DOCUMENTS)
        server.window = 0
        with pytest.raises(RerankerError, match="refuses even the first"):
            reranker.scores(QUERY, DOCUMENTS)


@pytest.mark.parametrize("status", ["429", "503", "502", "500"])
def test_a_busy_server_is_asked_again_when_it_says(server: RerankServer, status: str) -> None:
    """Two refusals with Retry-After, then scores: three requests, each wait as long as the server asked for."""
    waits: list[float] = []
    reranker = ServerReranker(server.url)
    reranker.scores(QUERY, DOCUMENTS)
    server.misbehave(status, times=2, retry_after=0.05)  # type: ignore[arg-type]
    hooks = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([lambda details: waits.append(details.wait_for)])
    try:
        assert reranker.scores(QUERY, DOCUMENTS).argmax() == 1
    finally:
        stamina.instrumentation.set_on_retry_hooks(hooks)
    assert (len(server.asked), waits) == (4, [0.05, 0.05])


def test_a_server_that_asks_for_a_long_wait_is_not_waited_for(server: RerankServer) -> None:
    """Retry-After beyond two seconds: an error at once, with one request; the next queries do not even ask."""
    reranker = ServerReranker(server.url)
    reranker.scores(QUERY, DOCUMENTS)
    server.misbehave("429", retry_after=30)
    for expected in (r"is busy or failing \(429", r"asked again in \d+ s"):
        with pytest.raises(RerankerError, match=expected):
            reranker.scores(QUERY, DOCUMENTS)
    assert len(server.asked) == 2


@pytest.mark.usefixtures("without_waiting")
def test_a_server_that_comes_back_is_asked_after_its_rest(server: RerankServer) -> None:
    """After `rest` seconds the server is asked again, and scores come."""
    reranker = ServerReranker(server.url, rest=0.0)
    server.misbehave("503", times=2)
    with pytest.raises(RerankerError, match="503"):
        reranker.scores(QUERY, DOCUMENTS)
    assert reranker.scores(QUERY, DOCUMENTS).argmax() == 1


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("NaN", "NaN or infinity"),
        ("text as score", "without an index or a score"),
        ("fewer scores", "scores of 4 documents and gave 3"),
        ("more scores", "scores of 4 documents and gave 5"),
        ("double indexes", "gave 4, numbered"),
        ("negative index", r"gave 4, numbered \[-1"),
        ("no list", "no list of results"),
        ("a web page", r"<html>Welcome!</html>.*no JSON"),
        ("half a body", "did not answer: RemoteProtocolError"),
        ("drop", "did not answer: RemoteProtocolError"),
        ("401", "RERANKER_API_KEY"),
        ("400", r"refused the request: 400"),
        ("424", r"refused the request: 424"),
        ("503", r"busy or failing \(503"),
        ("500", r"busy or failing \(500"),
    ],
)
@pytest.mark.usefixtures("without_waiting")
def test_unusable_replies_are_refused(server: RerankServer, what: str, message: str) -> None:
    """Anything but one finite score a document is a RerankerError that says what came, also in the first request."""
    reranker = ServerReranker(server.url)
    reranker.scores(QUERY, DOCUMENTS)
    server.misbehave(what)  # type: ignore[arg-type]
    with pytest.raises(RerankerError, match=rf"The reranker at {server.url} .*{message}"):
        reranker.scores(QUERY, DOCUMENTS)
    with pytest.raises(RerankerError, match=rf"The reranker at {server.url}"):
        ServerReranker(server.url).scores(QUERY, DOCUMENTS)


@pytest.mark.parametrize("what", ["hang", "slow"])
def test_a_server_that_hangs_or_trickles_is_left(server: RerankServer, what: str) -> None:
    """No reply, or one byte after the other: an error after `timeout`, and no second try."""
    reranker = ServerReranker(server.url)
    reranker.scores(QUERY, DOCUMENTS)
    reranker = ServerReranker(server.url, timeout=0.2)
    reranker._found = next(iter(_known(server)))
    server.misbehave(what)  # type: ignore[arg-type]
    with pytest.raises(RerankerError, match="did not answer: ReadTimeout"):
        reranker.scores(QUERY, DOCUMENTS)
    assert len(server.asked) == 2


def test_a_server_of_the_other_dialect_in_its_place_is_found_out() -> None:
    """Where another server listens at the URL now, one query fails and the next one speaks its dialect."""
    with RerankServer("documents") as server:
        reranker = ServerReranker(server.url)
        reranker.scores(QUERY, DOCUMENTS)
        server.dialect = "texts"
        with pytest.raises(RerankerError, match="refused the request: 422"):
            reranker.scores(QUERY, DOCUMENTS)
        assert reranker.scores(QUERY, DOCUMENTS).argmax() == 1


def test_a_server_without_rerank_says_what_was_tried() -> None:
    """Neither dialect at any path: the message has each path, what was said there, and the settings."""
    with RerankServer("texts", ("/elsewhere",)) as server, pytest.raises(RerankerError) as caught:
        ServerReranker(server.url).scores(QUERY, DOCUMENTS)
    assert f"POST {server.url}/v1/rerank with documents: 404" in str(caught.value)
    assert "RERANKER_BASE_URL" in str(caught.value)


def test_nobody_there_is_told_without_the_password() -> None:
    """Nobody listening: the message has the URL, without a password, and the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(RerankerError, match=rf"http://me:\*\*\*@127\.0\.0\.1:{port}/v1 did not answer: ConnectError"):
        ServerReranker(f"http://me:secret@127.0.0.1:{port}/v1").scores(QUERY, DOCUMENTS)
    for wrong in ("not a url", "http://[", "ftp://127.0.0.1/"):
        with pytest.raises(RerankerError, match="RERANKER_BASE_URL"):
            ServerReranker(wrong).scores(QUERY, DOCUMENTS)


@pytest.mark.usefixtures("without_waiting")
def test_the_key_goes_to_the_server_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    """The server gets the key; neither a message nor the log has it, even where the server's error repeats it."""
    caplog.set_level(logging.DEBUG)
    with RerankServer("documents", api_key=KEY) as server:
        reranker = ServerReranker(server.url, None, f"{KEY}\n")
        reranker.scores(QUERY, DOCUMENTS)
        assert {authorization for _, _, authorization in server.requests} == {f"Bearer {KEY}"}
        for what in ("400", "503"):
            server.misbehave(what, times=2)  # type: ignore[arg-type]
            with pytest.raises(RerankerError) as caught:
                reranker.scores(QUERY, DOCUMENTS)
            assert KEY not in f"{caught.value}{caught.getrepr(chain=True)}"
        with pytest.raises(RerankerError, match="RERANKER_API_KEY has characters"):
            ServerReranker(server.url, None, f"{KEY}\nX-Other: 1").scores(QUERY, DOCUMENTS)
    assert KEY not in caplog.text


def test_texts_that_are_no_utf8_are_sent_as_they_can_be(server: RerankServer) -> None:
    """A lone surrogate, which JSON cannot carry, does not stop a query."""
    assert ServerReranker(server.url).scores("the parser \ud800", ["\udfff", "the parser"]).argmax() == 1


def test_settings_choose_the_reranker() -> None:
    """RERANKER_BASE_URL makes it the server's, RERANKER_MODEL alone a folder's, neither none; nothing is asked."""
    assert create_reranker(Settings(_env_file=None)) is None
    local = create_reranker(Settings(_env_file=None, reranker_model="/models/ms-marco"))
    assert isinstance(local, CrossEncoderReranker) and local.model == "ms-marco"
    remote = create_reranker(Settings(_env_file=None, reranker_base_url="http://127.0.0.1:9", reranker_model="bge"))
    assert isinstance(remote, ServerReranker) and remote.model == "bge"
    unnamed = create_reranker(Settings(_env_file=None, reranker_base_url="http://me:secret@127.0.0.1:9"))
    assert unnamed is not None and unnamed.model == "http://me:***@127.0.0.1:9"


def test_the_resource_gives_one_reranker_a_process(
    server: RerankServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What assets get is the settings' reranker with its key, the same one each time; unconfigured it is None."""
    monkeypatch.setenv("STARSEARCH_HOME", str(tmp_path))
    assert RerankerResource().client() is None
    reranker = RerankerResource(base_url=server.url, api_key=KEY).client()
    assert reranker is not None and reranker.scores(QUERY, DOCUMENTS).argmax() == 1
    assert server.requests[-1][2] == f"Bearer {KEY}"
    assert RerankerResource(base_url=server.url, api_key=KEY).client() is reranker


def test_doctor_asks_the_reranker_once(server: RerankServer) -> None:
    """Doctor names the reranker that answers, and what to do about one that does not; none at all is fine."""
    assert [finding.level for finding in _reranker(Settings(_env_file=None))] == ["ok"]
    settings = Settings(_env_file=None, reranker_base_url=server.url, reranker_model="bge")
    assert [(finding.level, finding.message) for finding in _reranker(settings)] == [
        ("ok", "bge; it is given the first 30 hits")
    ]
    assert len(server.asked) == 1
    server.misbehave("401")
    (finding,) = _reranker(settings)
    assert finding.level == "bad"
    assert "RERANKER_API_KEY. Until then hits keep their fused order." in finding.message


def _known(server: RerankServer) -> list[object]:
    """How the server is asked, found out without the timeout under test."""
    reranker = ServerReranker(server.url)
    return [reranker._endpoint()]

"""Web search against a real HTTP server that also misbehaves, and the query that leaves this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from resources.errors import ConfigurationError, WebSearchError
from resources.settings import Settings, load_settings
from resources.web_search import (
    LONGEST_QUERY,
    LONGEST_SNIPPET,
    LONGEST_TITLE,
    WebResult,
    WebSearch,
    create_web_search,
    query_of,
)
from tests.doubles.search_server import SearchServer


def found(n: int, **fields: Any) -> dict[str, Any]:
    return {"title": f"Title {n}", "url": f"https://example.org/{n}", "content": f"Snippet {n}", "engine": "e"} | fields


@pytest.fixture
def server() -> Iterator[SearchServer]:
    with SearchServer([found(n) for n in range(1, 8)]) as server:
        yield server


@pytest.fixture
def search(server: SearchServer) -> Iterator[WebSearch]:
    search = WebSearch(server.url, timeout=30.0)
    yield search
    search.close()


def test_results_come_in_the_servers_order(server, search):
    """The first k, as title, address and snippet, from one request of SearXNG's form."""
    assert search.search("hydration mismatch", 3) == [
        WebResult(f"Title {n}", f"https://example.org/{n}", f"Snippet {n}") for n in (1, 2, 3)
    ]
    assert server.requests == [("/search", {"q": ["hydration mismatch"], "format": ["json"]}, None)]


def test_the_url_may_end_in_search(server):
    """As somebody copies it from a browser."""
    for url in (f"{server.url}/", f"{server.url}/search", f"{server.url}/search/"):
        assert WebSearch(url).search("x", 1)
    assert {path for path, _, _ in server.requests} == {"/search"}


def test_nothing_is_asked_for_nothing(server, search):
    """An empty query, or no result wanted."""
    assert search.search(" \n", 5) == search.search("x", 0) == []
    assert server.requests == []


def test_only_addresses_of_the_web_are_kept(server, search):
    """Whatever else a server lists is left out, and each address comes once; nothing of them is fetched."""
    bad = [
        "javascript:alert(1)", "file:///etc/passwd", "ftp://example.org/", "data:text/html,x", "//example.org/x", "/x",
        "http://", "https://user:pass@example.org/", "http://[::1", "https://example.org/a b", "https://e.org/\n",
        "https://example.org/" + "x" * 3000, "", None, 7, ["https://example.org"],
    ]  # fmt: skip
    server.results = [found(1, url=url) for url in bad] + [
        "text",
        None,
        {},
        found(1),
        found(2),
        found(1, title="again"),
    ]
    server.results.append(found(3, url="http://127.0.0.1:1/never-fetched"))
    urls = [one.url for one in search.search("x", 50)]
    assert urls == ["https://example.org/1", "https://example.org/2", "http://127.0.0.1:1/never-fetched"]
    assert len(server.requests) == 1


def test_text_is_plain_and_cut(server, search):
    """No markup, no hidden characters, one line, cut at a word; a title that is missing is the host."""
    server.results = [
        found(
            1,
            title="A <b>bold</b>\n&amp; br<br>ave",
            content="<script>alert('x')</script>x <style>p{}</style>y<!-- z -->",
        ),
        found(2, title="word " * 100, content="word " * 1000),
        found(3, title=None, content=None),
        found(4, title="a\u202eb\u200bc\0d\ud800", content="5 < 6 <unclosed"),
        found(5, title="x" * 500),
    ]
    one, two, three, four, five = search.search("x", 5)
    assert (one.title, one.snippet) == ("A bold & br ave", "x y")
    assert two.title.endswith("word…")
    assert len(two.title) <= LONGEST_TITLE
    assert two.snippet.endswith("word…")
    assert len(two.snippet) <= LONGEST_SNIPPET
    assert (three.title, three.snippet) == ("example.org", "")
    assert four.title == "abcd"
    assert four.snippet.startswith("5 < 6")
    assert five.title == "x" * (LONGEST_TITLE - 1) + "…"


def test_a_key_is_sent_and_never_shown(server, without_waiting):
    """As a bearer token; a server that repeats it in an error does not get it into the message."""
    server.api_key = "secret-key"
    assert WebSearch(server.url, " secret-key\n").search("x", 1)
    assert server.requests[-1][2] == "Bearer secret-key"
    for key in ("other-key", None):
        with pytest.raises(WebSearchError, match=r"refused the key \(401\): check WEB_SEARCH_KEY") as caught:
            WebSearch(server.url, key).search("x", 1)
        assert "other-key" not in str(caught.value)
    server.misbehave("500")
    with pytest.raises(WebSearchError) as caught:
        WebSearch(server.url.replace("//", "//me:pass@"), "secret-key").search("x", 1)
    assert "secret-key" not in str(caught.value)
    assert "pass" not in str(caught.value)
    with pytest.raises(WebSearchError, match="copy it again"):
        WebSearch(server.url, "schlüssel").search("x", 1)


@pytest.mark.parametrize("what", ["429", "502", "503", "drop", "half a body"])
def test_a_passing_failure_is_tried_again(server, search, without_waiting, what):
    """The second request is answered."""
    server.misbehave(what, times=1, retry_after=0.01)
    assert len(search.search("x", 2)) == 2
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("what", "requests", "said"),
    [
        ("429", 2, r"busy or failing \(429\)"),
        ("502", 2, r"busy or failing \(502\)"),
        ("drop", 2, "did not answer"),
        ("half a body", 2, "did not answer"),
        ("hang", 1, "did not answer .ReadTimeout"),
        ("slow", 1, "no whole reply within 1 s"),
        ("endless", 1, "did not answer .*over 4,194,304 bytes"),
        ("302", 1, "answered 302 where 200 was expected: check WEB_SEARCH_URL"),
        ("404", 1, "answered 404"),
        ("403", 1, "`json` is among search.formats"),
        ("invalid JSON", 1, "no JSON: is it a SearXNG-compatible server"),
        ("a web page", 1, "no JSON"),
        ("no list", 1, "no list `results`"),
    ],
)
def test_a_lasting_failure_is_an_error_that_says_what_to_do(server, without_waiting, what, requests, said):
    """After as many requests as make sense (here two at most); who waits is not kept waiting."""
    server.misbehave(what, retry_after=0.01)
    search = WebSearch(server.url, timeout=1.0 if what in ("hang", "slow") else 30.0)
    with pytest.raises(WebSearchError, match=said) as caught:
        search.search("x", 2)
    assert server.url in str(caught.value)
    assert len(server.requests) == requests


def test_a_long_retry_after_is_not_waited_for(server, search):
    """The server asks for an hour: the answer goes on without it."""
    server.misbehave("429", retry_after=3600)
    with pytest.raises(WebSearchError, match="429"):
        search.search("x", 2)
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_said(without_waiting):
    """Nobody listens, and an address that is none."""
    for url in ("http://127.0.0.1:9", "http://[::bad"):
        with pytest.raises(WebSearchError, match="check WEB_SEARCH_URL"):
            WebSearch(url, timeout=1.0).search("x", 1)


def test_it_is_off_unless_it_is_configured(server):
    """Without a URL there is nothing that could ask; a URL that is none is refused."""
    assert create_web_search(Settings(_env_file=None)) is None
    made = create_web_search(Settings(_env_file=None, web_search_url=server.url, web_search_key=SecretStr("k")))
    assert made is not None
    assert made.search("x", 1)
    assert server.requests[-1][2] == "Bearer k"
    with pytest.raises(ConfigurationError, match="WEB_SEARCH_URL"):
        load_settings(web_search_url="ftp://example.org")


@pytest.mark.parametrize(
    ("question", "query"),
    [
        ("Who fixed\n the  hydration mismatch?", "Who fixed the hydration mismatch?"),
        ("!!g what is :de new <5 in !images rust?", "g what is de new 5 in images rust?"),
        ("C++ a != b, x:y", "C++ a b, x:y"),
        ("a\u202eb\u200b \0c", "ab c"),
        ("\ud800", ""),
        ("word " * 100, ("word " * 40).strip()),
        ("x" * 300, "x" * LONGEST_QUERY),
    ],
)
def test_the_query_is_the_questions_words(question, query):
    """One line, cut at a word, without what a search server takes for commands."""
    assert query_of(question) == query


@given(st.text())
def test_a_query_is_short_and_of_the_question(question):
    """Every word stands in the question, and nothing is added."""
    query = query_of(question)
    assert len(query) <= LONGEST_QUERY
    assert query_of(query) == query
    query.encode()  # a lone surrogate could not be sent
    kept = iter(question)
    assert all(one in kept for one in query.replace(" ", ""))

"""Web search by a server that speaks SearXNG's JSON API; off unless WEB_SEARCH_URL is set.

GET {url}/search?q=…&format=json -> {"results": [{"title", "url", "content"}]}
(https://docs.searxng.org/dev/search_api.html). What is searched for comes from the user's question alone, and no page
of a result is ever fetched: titles, addresses and snippets are all there is.
"""

from __future__ import annotations

import json
import re
import time
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from html.parser import HTMLParser
from typing import Any, TypeGuard
from urllib.parse import urlsplit

import httpx
import stamina

from resources.bounded import read_within
from resources.errors import WebSearchError
from resources.postgres import redacted
from resources.retries import retry_httpx
from resources.settings import Settings

LONGEST_QUERY = 200
"""Characters of a query."""
LONGEST_TITLE, LONGEST_SNIPPET, LONGEST_URL = 200, 500, 2000
LONGEST_WAIT = timedelta(seconds=2)
"""What Retry-After may ask for: somebody waits for an answer."""

_LARGEST_REPLY = 4 * 1024 * 1024
_ATTEMPTS = 3
_CONNECT_SECONDS = 2.0
_SYNTAX = re.compile(r"(?<!\S)[!?:<=]+")  # what SearXNG reads as its own: !engine, !!redirect, :language, <timeout


@dataclass(frozen=True)
class WebResult:
    """What a search engine says of a page: plain text of strangers, and an http or https address."""

    title: str
    url: str
    snippet: str


class WebSearch:
    """A search server. key: sent as a bearer token, if there is one. timeout: seconds of a request, retries aside."""

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 8.0) -> None:
        self._url = f"{url.rstrip('/').removesuffix('/search')}/search"
        self._key, self._timeout = (key or "").strip(), timeout

    def search(self, query: str, k: int = 5) -> list[WebResult]:
        """At most `k` results in the server's order, each address once; none for an empty query.

        Raises:
            WebSearchError: the server cannot be reached, refuses, keeps failing, or replies with something else.
        """
        if k < 1 or not (query := query_of(query)):
            return []
        try:
            reply = json.loads(self._ask(query))
        except ValueError as error:
            raise self._failed("replied with something that is no JSON: is it a SearXNG-compatible server?") from error
        rows = reply.get("results") if isinstance(reply, dict) else None
        if not isinstance(rows, list):
            raise self._failed("replied with JSON that has no list `results`: is it a SearXNG-compatible server?")
        found: dict[str, WebResult] = {}
        for result in filter(None, map(_result, rows)):
            found.setdefault(result.url, result)
        return list(found.values())[:k]

    def close(self) -> None:
        """Close the pooled connections."""
        if "_client" in self.__dict__:
            self._client.close()

    def _ask(self, query: str) -> bytes:
        try:
            for attempt in stamina.retry_context(
                on=partial(retry_httpx, longest=LONGEST_WAIT), attempts=_ATTEMPTS, timeout=self._timeout,
                wait_initial=0.1, wait_max=1.0,
            ):  # fmt: skip
                with attempt:
                    reply = self._get(query)
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            if status == httpx.codes.UNAUTHORIZED:
                raise self._failed("refused the key (401): check WEB_SEARCH_KEY.") from None
            if status == httpx.codes.FORBIDDEN:
                raise self._failed(
                    "refused the request (403): check WEB_SEARCH_KEY, and that `json` is among search.formats in"
                    " SearXNG's settings.yml."
                ) from None
            if status in (429, *range(500, 600)):
                raise self._failed(f"is busy or failing ({status}): ask again later.") from None
            raise self._failed(f"answered {status} where 200 was expected: check WEB_SEARCH_URL.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = " ".join(str(error).split())[:200]
            raise self._failed(f"did not answer ({type(error).__name__}: {why}): check WEB_SEARCH_URL.") from None
        return reply

    def _get(self, query: str) -> bytes:
        """The reply's body, within `timeout` as a whole. Redirects are not followed: the key is for this server."""
        deadline = time.monotonic() + self._timeout
        with self._client.stream("GET", self._url, params={"q": query, "format": "json"}) as response:
            if response.status_code != httpx.codes.OK:
                raise httpx.HTTPStatusError("refused", request=response.request, response=response)
            return read_within(response, deadline, self._timeout, _LARGEST_REPLY)

    @cached_property
    def _client(self) -> httpx.Client:
        if not (self._key.isascii() and self._key.isprintable()):
            raise WebSearchError("WEB_SEARCH_KEY has characters that no HTTP header may have: copy it again.")
        return httpx.Client(
            timeout=httpx.Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout)),
            headers={"authorization": f"Bearer {self._key}"} if self._key else {},
        )

    def _failed(self, what: str) -> WebSearchError:
        return WebSearchError(f"The web search at {redacted(self._url)} {what}")


def create_web_search(settings: Settings) -> WebSearch | None:
    """The web search that the settings name; None where they name none."""
    if settings.web_search_url is None:
        return None
    key = settings.web_search_key
    return WebSearch(settings.web_search_url, None if key is None else key.get_secret_value())


def query_of(question: str) -> str:
    """The query for a question: its own words in one line, cut at a word, at most LONGEST_QUERY characters.

    Never give it anything but the user's question: what was read elsewhere must not leave this way. What a search
    server would take for commands (!engine, :language) loses its marks.
    """
    line = " ".join(_SYNTAX.sub(" ", _visible(question)).split())
    if len(line) <= LONGEST_QUERY:
        return line
    cut = line[: LONGEST_QUERY + 1].rpartition(" ")[0]
    return cut or line[:LONGEST_QUERY]


def _result(row: Any) -> WebResult | None:
    """A row of the reply; None where it has no address that a browser may open."""
    if not isinstance(row, dict) or not _is_web(url := row.get("url")):
        return None
    title, snippet = (_text(row.get(name), longest) for name, longest in
                      (("title", LONGEST_TITLE), ("content", LONGEST_SNIPPET)))  # fmt: skip
    return WebResult(title or str(urlsplit(url).hostname), url, snippet)


def _is_web(url: Any) -> TypeGuard[str]:
    """Whether it is an http or https address of a host, without anything that has to be encoded."""
    if not isinstance(url, str) or len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


class _Words(HTMLParser):
    """The text of markup, without that of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._within = 0

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self._within += tag in ("script", "style")
        if tag in ("br", "p", "div", "li"):
            self.words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._within -= tag in ("script", "style") and self._within > 0

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.words.append(data)


def _text(markup: Any, longest: int) -> str:
    """Plain text in one line, cut at a word."""
    if not isinstance(markup, str):
        return ""
    parser = _Words()
    parser.feed(markup[: 20 * longest])
    parser.close()
    line = " ".join(_visible("".join(parser.words)).split())
    return line if len(line) <= longest else (line[:longest].rpartition(" ")[0] or line[: longest - 1]) + "…"


def _visible(text: str) -> str:
    """Without control and format characters, and lone surrogates; white space stays."""
    return "".join(one for one in text if one.isspace() or unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Co"))

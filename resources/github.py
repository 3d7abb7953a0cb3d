"""GitHub's REST and GraphQL API with one token, within its limits.

Source: https://docs.github.com/en/graphql and https://docs.github.com/en/rest.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx
import orjson
import stamina
from gidgethub.sansio import create_headers
from pydantic import SecretStr

from resources.errors import (
    ConfigurationError,
    GitHubExhausted,
    GitHubRefused,
    GitHubUnavailable,
    GitHubUnreachable,
)
from resources.github_limits import Limiter, Spent, minute_use
from resources.retries import retry_after
from resources.settings import Settings

GRAPHQL, CORE = "graphql", "core"
_AGENT = "starsearch"
_LATER = timedelta(minutes=1)  # what GitHub asks of those to whom a secondary limit names no time
_TRIES = 6
_TURNS = 10  # of the event loop: at least as many as httpx takes to send a request
_OVERLOADED = frozenset((500, 502, 503, 504))


class Overloaded(GitHubUnavailable):
    """A query that GitHub did not finish: 502, a timeout, half a body. A smaller one may do."""


@dataclass(frozen=True)
class QueryError:
    """One of a GraphQL response's errors. path: to the field that is null because of it."""

    type: str
    path: tuple[str | int, ...]
    message: str


@dataclass(frozen=True)
class Reply:
    """A GraphQL response: what could be answered, beside the errors of what could not."""

    data: Mapping[str, Any]
    errors: tuple[QueryError, ...]


@dataclass(frozen=True)
class RestReply:
    """A REST response. `location`: the path that a 301 names."""

    status: int
    data: Any
    location: str | None = None


class GitHub:
    """One token's client. Open it with `async with`; it belongs to one event loop.

    Raises (all requests):
        GitHubRefused: the token is wrong or may not do this.
        GitHubExhausted: a limit is used up; says until when.
        GitHubUnavailable: no answer after all retries.
    """

    def __init__(self, settings: Settings, *, timeout: float = 30.0) -> None:
        if settings.github_token is None:
            raise ConfigurationError("GITHUB_TOKEN is not set: GitHub's GraphQL API answers nobody without one.")
        self._base = settings.github_api_url.rstrip("/") + "/"
        if urlsplit(self._base).scheme not in ("http", "https"):
            raise ConfigurationError(
                f"GITHUB_API_URL {settings.github_api_url!r} is no URL: expected one such as https://api.github.com."
            )
        # GitHub Enterprise Server has REST at /api/v3 and GraphQL at /api/graphql.
        self._graphql = "../graphql" if self._base.endswith("/api/v3/") else "graphql"
        self.concurrency = settings.github_concurrency
        digest = hashlib.sha256(settings.github_token.get_secret_value().encode()).digest()
        self._limiter = Limiter(settings.github_concurrency, settings.github_reserve, minute_use(self._base, digest))
        self._client = _client(settings.github_token, settings.github_concurrency, timeout)

    @property
    def spent(self) -> Spent:
        """Requests and points used by this client."""
        return self._limiter.spent

    @property
    def budget(self) -> tuple[int, int, datetime] | None:
        """(remaining, limit, reset time) of the GraphQL points, where known."""
        known = self._limiter.budget(GRAPHQL)
        return None if known is None else (known.remaining, known.limit, known.reset_datetime)

    @property
    def hourly_requests(self) -> int | None:
        """REST requests that GitHub gives this token an hour, where known."""
        known = self._limiter.budget(CORE)
        return None if known is None else known.limit

    async def __aenter__(self) -> Self:
        """Ask for the budgets, which costs nothing and tells a wrong token at once."""
        try:
            reply = await self.get("rate_limit", points=0)
        except BaseException:
            await self._client.aclose()
            raise
        if reply.status == httpx.codes.OK:
            for resource, known in reply.data.get("resources", {}).items():
                headers = {f"x-ratelimit-{name}": str(known[name]) for name in ("limit", "remaining", "reset")}
                self._limiter.learn(resource, headers, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def graphql(self, query: str, variables: Mapping[str, Any], points: int) -> Reply:
        """Run one query. points: what it is expected to cost.

        Raises:
            Overloaded: GitHub did not finish it; ask for less.
        """
        body = orjson.dumps({"query": query, "variables": variables})
        for _ in range(_TRIES):
            try:
                response = await self._send(GRAPHQL, points, "POST", self._graphql, body)
                if response.status_code in _OVERLOADED:
                    raise Overloaded(f"GitHub did not finish a query: {response.status_code}.")
                await _give_way()
                document = orjson.loads(response.content)
            except (httpx.TransportError, orjson.JSONDecodeError) as error:
                raise Overloaded(f"GitHub did not finish a query: {_named(error)}.") from error
            if response.status_code == httpx.codes.FORBIDDEN:
                raise GitHubRefused(f"GitHub forbids this token its GraphQL API (403): {_message(response)}")
            if type(document) is not dict or response.status_code != httpx.codes.OK:
                raise GitHubUnavailable(f"GitHub answered a query with {response.status_code}: {_message(response)}")
            errors = tuple(map(_query_error, document.get("errors") or ()))
            if any(error.type == "RATE_LIMITED" for error in errors):
                self._limited(response)
                continue
            data = document.get("data")
            if type(data) is not dict:
                raise _unanswered(errors)
            return Reply(data, errors)
        raise GitHubUnavailable("GitHub kept answering with its rate limit although it had named a time to go on.")

    async def get(self, path: str, *, points: int = 1) -> RestReply:
        """GET a path (or a URL of the same host).

        Redirects and refusals of the one path (403, 404, 410, 451) are replies: they tell what became of it.
        """
        async for attempt in stamina.retry_context(on=GitHubUnavailable, attempts=4, timeout=120):
            with attempt:
                try:
                    response = await self._send(CORE, points, "GET", path)
                except httpx.TransportError as error:
                    raise GitHubUnavailable(f"GitHub did not answer for {path}: {_named(error)}.") from error
                if response.status_code in _OVERLOADED:
                    raise GitHubUnavailable(f"GitHub answered {response.status_code} for {path}.")
        location = response.headers.get("location")
        try:
            data = orjson.loads(response.content) if response.content else None
        except orjson.JSONDecodeError as error:
            raise GitHubUnavailable(f"GitHub answered for {path} with what is no JSON.") from error
        return RestReply(response.status_code, data, location and urlsplit(location).path)

    async def get_once(self, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """GET a path (or a URL of the same host) with further headers, without another try.

        Raises:
            GitHubUnreachable: there is no connection; nothing else will be answered either.
        """
        try:
            response = await self._send(CORE, 1, "GET", path, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise GitHubUnreachable(f"GitHub cannot be reached: {_named(error)}.") from error
        except httpx.TransportError as error:
            raise GitHubUnavailable(f"GitHub did not answer for {path}: {_named(error)}.") from error
        except httpx.DecodingError as error:
            raise GitHubUnavailable(f"GitHub's answer for {path} is damaged: {_named(error)}.") from error
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise GitHubUnavailable(f"GitHub answered {response.status_code} for {path}.")
        return response

    async def _send(
        self,
        resource: str,
        points: int,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request that GitHub let through: limits are waited out, refusals raised."""
        url = urljoin(self._base, path)
        if urlsplit(url)[:2] != urlsplit(self._base)[:2]:
            raise GitHubRefused(f"{path} is on another host than GITHUB_API_URL: the token is not sent there.")
        for _ in range(_TRIES):
            async with self._limiter.slot(resource, points):
                response = await self._client.request(method, url, content=body, headers=headers)
            status = response.status_code
            limited = status in (403, 429) and _is_limit(response)
            cost = 0 if status in (304, 403, 429) else points
            self._limiter.learn(response.headers.get("x-ratelimit-resource", resource), response.headers, cost)
            if limited:
                self._limited(response)
                continue
            if status == httpx.codes.UNAUTHORIZED:
                raise GitHubRefused("GitHub refuses GITHUB_TOKEN (401): it is wrong, expired or revoked; set another.")
            return response
        raise GitHubUnavailable("GitHub kept answering with its rate limit although it had named a time to go on.")

    def _limited(self, response: httpx.Response) -> None:
        """Wait as the response asks, or end the work until then."""
        asked = retry_after(response.headers.get("retry-after", ""), datetime.now(UTC), longest=timedelta(hours=1))
        if asked is None and response.headers.get("x-ratelimit-remaining") == "0":
            reset = datetime.fromtimestamp(float(response.headers["x-ratelimit-reset"]), UTC)
            raise GitHubExhausted(reset, "the hourly budget")
        self._limiter.pause(_LATER if asked is None else asked)


def open_github(settings: Settings) -> GitHub | None:
    """The client, or None without a token."""
    return None if settings.github_token is None else GitHub(settings)


async def _give_way() -> None:
    """Let who waited for the place send: reading an answer of many items takes as long as several requests."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def _client(token: SecretStr, connections: int, timeout: float) -> httpx.AsyncClient:
    headers = create_headers(_AGENT, accept="application/vnd.github+json", oauth_token=token.get_secret_value())
    return httpx.AsyncClient(
        headers=headers | {"x-github-api-version": "2022-11-28", "content-type": "application/json"},
        timeout=httpx.Timeout(timeout, connect=10),
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
    )


def _is_limit(response: httpx.Response) -> bool:
    """Whether a 403 or 429 is a rate limit: primary (nothing remains) or secondary (Retry-After, or its words)."""
    headers = response.headers
    return (
        response.status_code == httpx.codes.TOO_MANY_REQUESTS
        or "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or "secondary rate limit" in _message(response)
    )


def _message(response: httpx.Response) -> str:
    try:
        return str(orjson.loads(response.content)["message"])[:300]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"{len(response.content):,} bytes that are no error of GitHub's"


def _query_error(error: Mapping[str, Any]) -> QueryError:
    return QueryError(str(error.get("type", "")), tuple(error.get("path") or ()), str(error.get("message", ""))[:300])


def _unanswered(errors: tuple[QueryError, ...]) -> GitHubUnavailable:
    """No data at all: the query is too much or too slow for GitHub, or it is wrong."""
    said = "; ".join(error.message for error in errors) or "no data and no error"
    slow = any(
        "something went wrong" in error.message.lower() or "timeout" in error.message.lower() for error in errors
    )
    if slow or any(error.type == "MAX_NODE_LIMIT_EXCEEDED" for error in errors) or not errors:
        return Overloaded(f"GitHub did not finish a query: {said}")
    return GitHubUnavailable(f"GitHub refused a query: {said}")


def _named(error: Exception) -> str:
    return str(error) or type(error).__name__

"""Feeds of GitHub's Events API: one page a request, conditional, every event as the bytes that were sent.

Source: https://docs.github.com/en/rest/activity/events and
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api (conditional requests).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urljoin

import httpx
import msgspec

from resources.errors import GitHubUnavailable
from resources.github import GitHub

EVENTS_A_PAGE = 100
HORIZON = 300
"""Events that a feed offers at once, over all its pages."""
RETENTION_DAYS = 30
"""Older events leave a feed, also one that is not full."""
POLL_INTERVAL = 60.0
"""Seconds between polls where GitHub's X-Poll-Interval says nothing else."""

_REDIRECTS = frozenset((301, 302, 307, 308))
_HOPS = 3


@dataclass(frozen=True)
class FeedEvent:
    """One event. body: its bytes, exactly as they stood in the page.

    key: what identifies it, its created_at, id and type: ids restarted in 2025, and up to 30 events share one time. Of
    what is no event (it is passed on like one, so that it is rejected where all others are) the body, and no time.
    """

    body: bytes
    key: str
    created_at: datetime | None
    repo_id: int | None = None
    actor_id: int | None = None
    public: bool = True


@dataclass(frozen=True)
class FeedPage:
    """One page. status: 200; 304, unchanged since the ETag; or GitHub's refusal of this feed (403, 404, 410, 451).

    poll_interval: seconds that GitHub asks to leave between two polls. next: URL of the page after this one.
    """

    status: int
    events: tuple[FeedEvent, ...] = ()
    etag: str | None = None
    poll_interval: float = POLL_INTERVAL
    next: str | None = None


async def fetch_page(github: GitHub, path: str, etag: str | None = None) -> FeedPage:
    """GET one page of a feed, once; with `etag`, only if it has changed. A 304 costs nothing of the hour.

    Raises:
        GitHubRefused: the token is wrong.
        GitHubExhausted: a limit is used up; says until when.
        GitHubUnreachable: there is no connection to GitHub at all.
        GitHubUnavailable: no answer in time, half an answer, or one that is no page of events.
    """
    conditional = {"if-none-match": etag} if etag else {}
    for _ in range(_HOPS):
        response = await github.get_once(path, conditional)
        if response.status_code not in _REDIRECTS:
            break
        path = _same_host(path, urljoin(str(response.url), response.headers.get("location", "")), response)
    told = response.headers
    following = response.links.get("next", {}).get("url")
    if following is not None:
        following = _same_host(path, urljoin(str(response.url), following), response)
    events = _events(path, response.content) if response.status_code == httpx.codes.OK else ()
    return FeedPage(response.status_code, events, told.get("etag"), _poll_interval(told), following)


class _Id(msgspec.Struct, gc=False):
    id: int | None = None


class _Event(msgspec.Struct, gc=False):
    id: str
    type: str
    created_at: datetime
    repo: _Id | None = None
    actor: _Id | None = None
    public: bool = True


_page = msgspec.json.Decoder(list[msgspec.Raw])
_event = msgspec.json.Decoder(_Event)


def _events(path: str, content: bytes) -> tuple[FeedEvent, ...]:
    try:
        return tuple(map(_read, _page.decode(content)))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise GitHubUnavailable(f"GitHub answered for {path} with what is no list of events: {error}") from error


def _read(raw: msgspec.Raw) -> FeedEvent:
    body = bytes(raw)
    try:
        one = _event.decode(raw)
    except msgspec.ValidationError:
        return FeedEvent(body, hashlib.sha256(body).hexdigest(), None)
    repo, actor = one.repo or _Id(), one.actor or _Id()
    at = one.created_at.replace(tzinfo=one.created_at.tzinfo or UTC)
    return FeedEvent(body, f"{at.timestamp():.6f}/{one.id}/{one.type}", at, repo.id, actor.id, one.public)


def _poll_interval(headers: Mapping[str, str]) -> float:
    try:
        seconds = float(headers.get("x-poll-interval", POLL_INTERVAL))
    except ValueError:
        return POLL_INTERVAL
    return seconds if math.isfinite(seconds) and seconds >= 0 else POLL_INTERVAL


def _same_host(path: str, url: str, response: httpx.Response) -> str:
    target, asked = httpx.URL(url), response.url
    if (target.scheme, target.host, target.port) != (asked.scheme, asked.host, asked.port):
        raise GitHubUnavailable(f"GitHub leads from {path} to another host: the token is not sent there.")
    return url

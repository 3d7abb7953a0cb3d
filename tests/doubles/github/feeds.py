"""The double's Events API: feeds of repositories and organizations, paged and conditional as at GitHub.

https://docs.github.com/en/rest/activity/events
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson

from tests.doubles.github import replies
from tests.doubles.github.replies import Reply
from tests.doubles.github.state import Repository, State

HORIZON = 300
_FEED = re.compile(r"/(repositories/\d+|orgs/[^/]+)/events")


@dataclass(frozen=True)
class RecordedPage:
    """A page as GitHub sent it once. etag, poll_interval: as they were sent then; None: made up."""

    body: bytes
    etag: str | None = None
    poll_interval: str | None = None


@dataclass
class Feed:
    """One feed, newest event first, each as its bytes.

    recorded: polls to be served in order instead, each a list of pages; whoever asks for the first page gets the
    next poll, and the last one stays.
    """

    events: list[bytes] = field(default_factory=list)
    recorded: list[Sequence[RecordedPage]] = field(default_factory=list)
    polled: int = 0

    def next_poll(self) -> Sequence[RecordedPage]:
        """The recorded poll that begins now."""
        self.polled += 1
        return self.poll

    @property
    def poll(self) -> Sequence[RecordedPage]:
        """The recorded poll that was begun last."""
        return self.recorded[min(self.polled, len(self.recorded)) - 1]


class Feeds:
    """All feeds by name (`repositories/1`, `orgs/acme`). poll_interval: X-Poll-Interval of each reply.

    A repository without an event has an empty feed; so has an organization, where it is in `organizations`.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self.poll_interval: float = 60
        self.horizon = HORIZON
        self.organizations: set[str] = set()
        self.feeds: dict[str, Feed] = {}

    def of(self, name: str) -> Feed:
        """The feed of this name."""
        return self.feeds.setdefault(name.lower(), Feed())

    def publish(self, *events: dict[str, Any]) -> None:
        """Events happen, one after the other: in the feed of their repository, and of its owner where it is one."""
        with self._lock:
            for event in events:
                raw = orjson.dumps(event)
                self.of(f"repositories/{event['repo']['id']}").events.insert(0, raw)
                owner = event["repo"]["name"].partition("/")[0].lower()
                if owner in self.organizations:
                    self.of(f"orgs/{owner}").events.insert(0, raw)

    def replay(self, name: str, polls: Sequence[Sequence[RecordedPage]]) -> None:
        """Serve these polls of a feed in order."""
        self.of(name).recorded = list(polls)

    def reply(self, path: str, query: dict[str, str], api: str) -> Reply | None:
        """The answer to a GET of a feed; None where the path is none."""
        match = _FEED.fullmatch(path)
        if match is None:
            return None
        name = match[1].lower()
        refusal = self._refusal(name)
        if refusal is not None:
            return refusal
        size, page = min(int(query.get("per_page", "30")), 100), max(int(query.get("page", "1")), 1)
        with self._lock:
            feed = self.of(name)
            if feed.recorded:
                return self._recorded(feed, page, f"{api}{path}", query)
            offered = feed.events[: self.horizon]
        last = max(-(-len(offered) // size), 1)
        body = b"[" + b",".join(offered[(page - 1) * size : page * size]) + b"]"
        return Reply(200, self._headers(RecordedPage(body), page, last, f"{api}{path}", query), body)

    def _refusal(self, name: str) -> Reply | None:
        kind, _, key = name.partition("/")
        if kind == "orgs":
            return None if key in self.organizations else replies.not_found()
        repository: Repository | None = self._state.repositories.get(int(key))
        if repository is None or repository.deleted or repository.private:
            return replies.not_found()
        return replies.legally_blocked() if repository.legally_blocked else None

    def _recorded(self, feed: Feed, page: int, url: str, query: dict[str, str]) -> Reply:
        pages = feed.next_poll() if page == 1 else feed.poll
        if page > len(pages):
            return Reply(200, {}, b"[]")
        one = pages[page - 1]
        return Reply(200, self._headers(one, page, len(pages), url, query), one.body)

    def _headers(self, one: RecordedPage, page: int, last: int, url: str, query: dict[str, str]) -> dict[str, str]:
        numbers = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        absent = ({"prev", "first"} if page == 1 else set()) | ({"next", "last"} if page >= last else set())
        links = [
            f'<{url}?{urlencode({**query, "page": number})}>; rel="{rel}"'
            for rel, number in numbers.items()
            if rel not in absent
        ]
        etag = one.etag or f'W/"{hashlib.sha256(one.body).hexdigest()}"'
        interval = f"{self.poll_interval:g}" if one.poll_interval is None else one.poll_interval
        return {"ETag": etag, "X-Poll-Interval": interval} | ({"Link": ", ".join(links)} if links else {})


def recorded_poll(events: Sequence[Any], size: int = 100) -> list[RecordedPage]:
    """The pages of one poll that brought these events."""
    pages = [events[at : at + size] for at in range(0, max(len(events), 1), size)]
    return [RecordedPage(orjson.dumps(page)) for page in pages]

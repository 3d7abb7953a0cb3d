"""One poll of one feed: its pages from the newest event back to one that is known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from resources.errors import GitHubUnavailable, GitHubUnreachable
from resources.github import GitHub
from resources.github_events import EVENTS_A_PAGE, HORIZON, FeedEvent, FeedPage, fetch_page
from starsearch_assets.polling.cursor import Cursor

_MOST_PAGES = HORIZON // 30  # where a server sends fewer events a page than it was asked for


@dataclass(frozen=True)
class Walk:
    """What a poll brought. offered: events of all pages that were read, newest first, each once; new: those of them
    that the cursor does not know. whole: no page was left unread. charged: requests that cost something of the hour.
    """

    first: FeedPage
    offered: tuple[FeedEvent, ...]
    new: tuple[FeedEvent, ...]
    whole: bool
    requests: int
    charged: int


class WalkFailed(GitHubUnavailable):
    """A page of the feed could not be read; `requests` were made for nothing."""

    def __init__(self, reason: GitHubUnavailable, requests: int) -> None:
        super().__init__(str(reason))
        self.requests = requests


def feed_path(feed: str) -> str:
    """The path of a feed's first page."""
    return f"{feed}/events?per_page={EVENTS_A_PAGE}"


async def walk(github: GitHub, feed: str, etag: str | None, cursor: Callable[[], Awaitable[Cursor]]) -> Walk:
    """Read a feed back to what is known. cursor: called once there is something to compare with.

    New events move the others on between two requests, so that an event can stand on two pages.

    Raises:
        WalkFailed: nothing is taken from a walk that did not come to its end, so that the next one sees it all again.
        GitHubRefused, GitHubExhausted, GitHubUnreachable: as by `fetch_page`.
    """
    page = first = await _page(github, feed_path(feed), etag, 0)
    offered: dict[str, FeedEvent] = {}
    if first.status != 200:
        return Walk(first, (), (), whole=False, requests=1, charged=int(first.status != 304))
    known = await cursor()
    requests = 1
    while True:
        offered |= {event.key: event for event in page.events if event.key not in offered}
        met = any(map(known.knows, page.events))
        if met or page.next is None or not page.events or len(offered) >= HORIZON or requests == _MOST_PAGES:
            break
        page = await _page(github, page.next, None, requests)
        requests += 1
    new = tuple(event for event in offered.values() if not known.knows(event))
    return Walk(first, tuple(offered.values()), new, whole=not met, requests=requests, charged=requests)


async def _page(github: GitHub, path: str, etag: str | None, before: int) -> FeedPage:
    try:
        page = await fetch_page(github, path, etag)
    except GitHubUnreachable:
        raise
    except GitHubUnavailable as error:
        raise WalkFailed(error, before + 1) from error
    if before and page.status != 200:
        raise WalkFailed(GitHubUnavailable(f"GitHub answered {page.status} for a further page."), before + 1)
    return page

"""Lets the planned items live through the window and collects the events of their lives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starsearch_assets.sample import payloads, prose
from starsearch_assets.sample.cast import CONTRIBUTORS, COVERAGE_BOT, OUTSIDERS, REPOSITORIES, Repository
from starsearch_assets.sample.clock import (
    SLIM_SINCE,
    WINDOW_END,
    WINDOW_HOURS,
    WINDOW_START,
    digest,
    draw,
    later,
    moment,
    pick,
)
from starsearch_assets.sample.items import Item, Release
from starsearch_assets.sample.payloads import Object

_STARS = 264
_FORKS = 46
_MAINTENANCE = (
    "Update the list of contributors",
    "Tidy up the change log",
    "Pin the image used in CI",
    "Regenerate snapshots",
    "Fix a warning of the linter",
    "Bump version for development",
    "Add missing licence headers",
    "Sort imports",
)
_FOLLOW_UPS = (
    "Address review comments",
    "Add a test for the edge case",
    "Fix the build",
    "Reword messages",
    "Rebase",
)


@dataclass(slots=True)
class Event:
    """One event before it has an id; `order` keeps cause before effect within a second."""

    created_at: datetime
    order: int
    type: str
    actor: str
    repository: Repository
    payload: Object

    @property
    def slim(self) -> bool:
        """Whether it happened after the payloads were slimmed."""
        return self.created_at >= SLIM_SINCE


@dataclass(slots=True)
class Story:
    """Collects events; what happens outside of the window leaves no trace."""

    events: list[Event] = field(default_factory=list)

    def tell(self, at: datetime, type_: str, actor: str, repository: Repository, payload: Object) -> None:
        """Record an event, which must lie within the window."""
        self.events.append(Event(at, len(self.events), type_, actor, repository, payload))


def tell_story(items: list[Item], releases: list[Release]) -> list[Event]:
    """The events of all items, releases, stars, forks and pushes, in order of time."""
    story = Story()
    pulls = [item for item in items if item.is_pull_request]
    for item in pulls:
        _pull_request_life(story, item)
    for item in items:
        if not item.is_pull_request:
            _issue_life(story, item)
    for release in releases:
        _release(story, release)
    _bystanders(story)
    _maintenance(story)
    story.events.sort(key=lambda event: (event.created_at, event.order))
    return story.events


def _is_slim(at: datetime) -> bool:
    return at >= SLIM_SINCE


def _pull_request_life(story: Story, item: Item) -> None:
    if item.is_old:
        at = moment(0, WINDOW_HOURS - 4, item.key, "first sign")
    else:
        at = item.opened_at
        _branch_created(story, item)
        _pull_request_event(story, item, item.author, "opened", at)
        item.opening_seen = True
    item.title = item.entry.title
    for position, step in enumerate(_steps(item)):
        if position or not item.is_old:
            at = later(at, item.key, position)
        if at >= WINDOW_END:
            return
        speaker = _speaker(item, position)
        match step:
            case "comment":
                text = prose.pull_request_comment(item.repository, item.entry, item.key, position)
                _comment(story, item, speaker, text, at)
            case "coverage":
                _comment(story, item, COVERAGE_BOT, prose.coverage_comment(item.key), at)
            case "review":
                _review(story, item, speaker, position, at)
            case "push" if not item.from_fork:
                _branch_push(story, item, position, at)
    at = later(at, item.key, "end")
    outcome = draw(100, item.key, "outcome")
    if at < WINDOW_END and outcome < 80:
        _close_pull_request(story, item, at, merged=outcome < 69)


def _steps(item: Item) -> list[str]:
    if "untitled" in item.entry.flags:
        return ["review"]
    reviews = pick((0, 1, 1, 1, 2, 2, 3), item.key, "reviews")
    comments = pick((0, 1, 1, 1, 2, 2, 3), item.key, "comments")
    pushes = pick((0, 1, 1, 2), item.key, "pushes")
    steps = ["review"] * reviews + ["comment"] * comments + ["push"] * pushes
    steps += ["coverage"] * (draw(6, item.key, "coverage") == 0)
    order = sorted(range(len(steps)), key=lambda i: digest(item.key, "step", i))
    first = ["comment"] if item.entry.fact("was") or (item.is_old and draw(4, item.key, "silent")) else []
    return first + [steps[i] for i in order] or ["review"]


def _speaker(item: Item, *key: object) -> str:
    others = [login for login in item.repository.team if login != item.author]
    return pick(others, item.key, "speaker", *key)


def _pull_request_event(story: Story, item: Item, actor: str, action: str, at: datetime) -> None:
    if _is_slim(at):
        body = payloads.pull_request_stub(item, at)
    else:
        item.has_text = True
        body = payloads.pull_request_full(item, at, complete=True)
    item.seen = True
    payload: Object = {"action": action, "number": item.number, "pull_request": body}
    story.tell(at, "PullRequestEvent", actor, item.repository, payload)


def _close_pull_request(story: Story, item: Item, at: datetime, *, merged: bool) -> None:
    closer = _speaker(item, "closer") if merged or draw(2, item.key, "closer") else item.author
    item.state, item.closed_at, item.updated_at = ("merged" if merged else "closed"), at, at
    item.merged_by = closer if merged else None
    _pull_request_event(story, item, closer, "merged" if merged and _is_slim(at) else "closed", at)
    if merged:
        slim, title = _is_slim(at), f"{item.title} (#{item.number})"
        sha = item.merge_sha
        payload = payloads.push(item.repository, closer, "main", (title,), at, sha, slim=slim)
        story.tell(at, "PushEvent", closer, item.repository, payload)
    gone = at + timedelta(seconds=draw(3, item.key, "gone"))
    if not item.from_fork and draw(2, item.key, "deleted") and gone < WINDOW_END:
        payload = payloads.ref_change(item.repository, item.branch, "branch", created=False, slim=_is_slim(gone))
        story.tell(gone, "DeleteEvent", closer, item.repository, payload)


def _branch_created(story: Story, item: Item) -> None:
    at = item.opened_at - timedelta(minutes=1 + draw(9, item.key, "branch"), seconds=draw(60, item.key, "branch"))
    if item.from_fork or at < WINDOW_START or draw(2, item.key, "branch seen"):
        return
    slim = _is_slim(at)
    created = payloads.ref_change(item.repository, item.branch, "branch", created=True, slim=slim)
    story.tell(at, "CreateEvent", item.author, item.repository, created)
    sha = digest(item.key, "first")
    pushed = payloads.push(item.repository, item.author, item.branch, (item.title,), at, sha, slim=slim)
    story.tell(at, "PushEvent", item.author, item.repository, pushed)


def _branch_push(story: Story, item: Item, position: int, at: datetime) -> None:
    count = 1 + draw(2, item.key, "pushed", position)
    messages = tuple(pick(_FOLLOW_UPS, item.key, position, i) for i in range(count))
    sha = digest(item.key, "push", position)
    payload = payloads.push(item.repository, item.author, item.branch, messages, at, sha, slim=_is_slim(at))
    story.tell(at, "PushEvent", item.author, item.repository, payload)


def _comment(story: Story, item: Item, login: str, text: str, at: datetime) -> None:
    item.comments += 1
    item.updated_at = at
    item.has_text = item.seen = True
    item.speakers.add(login)
    slim = _is_slim(at)
    payload: Object = {
        "action": "created",
        "issue": payloads.issue(item, at, slim=slim),
        "comment": payloads.comment(item, login, text, at, slim=slim),
    }
    story.tell(at, "IssueCommentEvent", login, item.repository, payload)


def _review(story: Story, item: Item, login: str, position: int, at: datetime) -> None:
    slim = _is_slim(at)
    remarks = pick((0, 0, 1, 1, 2), item.key, "remarks", position)
    review_id = 3_300_000_000 + draw(40_000_000, item.key, "review", position)
    item.updated_at = at
    item.seen = True
    item.has_text = item.has_text or not slim
    item.speakers.add(login)

    def pull_request() -> Object:
        if slim:
            return payloads.pull_request_stub(item, at)
        return payloads.pull_request_full(item, at, complete=False)

    for remark in range(remarks):
        number = 2_400_000_000 + draw(40_000_000, item.key, "remark", position, remark)
        item.review_comments += 1
        comment = payloads.review_comment(item, login, review_id, number, at, slim=slim)
        payload: Object = {"action": "created", "comment": comment, "pull_request": pull_request()}
        story.tell(at, "PullRequestReviewCommentEvent", login, item.repository, payload)
    review = payloads.review(item, login, review_id, at, slim=slim)
    payload = {"action": "created", "review": review, "pull_request": pull_request()}
    story.tell(at, "PullRequestReviewEvent", login, item.repository, payload)


def _issue_life(story: Story, item: Item) -> None:
    fix = item.counterpart
    if item.is_old:
        at = moment(0, WINDOW_HOURS - 4, item.key, "first sign")
    else:
        at = item.opened_at
        _issue_event(story, item, item.author, "opened", at)
        item.opening_seen = True
    item.title = item.entry.title
    merged_at = fix.closed_at if fix and fix.state == "merged" else None
    count = pick((0, 1, 1, 2, 2, 3, 4), item.key, "comments")
    count = max(count, 1 if item.is_old or item.entry.fact("was") else 0)
    for position in range(count):
        if position or not item.is_old:
            at = later(at, item.key, position)
        if merged_at and item.state == "open" and merged_at <= at:
            _close_issue(story, item, fix.merged_by if fix and fix.merged_by else item.author, merged_at)
        if at >= WINDOW_END:
            return
        speaker = item.author if position % 3 == 1 else _speaker(item, position)
        text = prose.issue_comment(item.repository, item.entry, item.key, position)
        _comment(story, item, speaker, text, at)
    if merged_at:
        if item.state == "open":
            _close_issue(story, item, fix.merged_by if fix and fix.merged_by else item.author, merged_at)
        return
    at = later(at, item.key, "end")
    if at < WINDOW_END and draw(100, item.key, "outcome") < 48:
        closer = pick((item.author, _speaker(item, "closer")), item.key, "closer")
        _close_issue(story, item, closer, at)
        at = later(at, item.key, "again")
        if at < WINDOW_END and draw(7, item.key, "again") == 0:
            item.state, item.closed_at = "open", None
            _issue_event(story, item, item.author, "reopened", at)


def _close_issue(story: Story, item: Item, actor: str, at: datetime) -> None:
    item.state, item.closed_at = "closed", at
    _issue_event(story, item, actor, "closed", at)


def _issue_event(story: Story, item: Item, actor: str, action: str, at: datetime) -> None:
    item.updated_at = at
    item.has_text = item.seen = True
    payload: Object = {"action": action, "issue": payloads.issue(item, at, slim=_is_slim(at))}
    story.tell(at, "IssuesEvent", actor, item.repository, payload)


def _release(story: Story, release: Release) -> None:
    at, repository = release.published_at, release.repository
    tag = payloads.ref_change(repository, release.notes.tag, "tag", created=True, slim=_is_slim(at))
    story.tell(at, "CreateEvent", release.author, repository, tag)
    payload: Object = {"action": "published", "release": payloads.release(release)}
    story.tell(at, "ReleaseEvent", release.author, repository, payload)


def _bystanders(story: Story) -> None:
    """Stars and forks, of people outside and inside; one star falls into every hour.

    Who styles components has no business with the Rust repositories here, except the two people of
    whom the fourth showcase question asks; so even a star must not blur its answer.
    """
    pairs = sorted(_pairs(), key=lambda pair: digest("star", pair[0].id, pair[1]))
    for position, (repository, login) in enumerate(pairs[:_STARS]):
        hour = position if position < WINDOW_HOURS else None
        at = moment(hour or 0, hour + 1 if hour is not None else WINDOW_HOURS, "star", repository.id, login)
        story.tell(at, "WatchEvent", login, repository, {"action": "started"})
    for repository, login in sorted(_pairs(), key=lambda pair: digest("fork", pair[0].id, pair[1]))[:_FORKS]:
        at = moment(0, WINDOW_HOURS, "fork", repository.id, login)
        payload: Object = {"forkee": payloads.fork(repository, login, at)}
        story.tell(at, "ForkEvent", login, repository, {"action": "forked"} | payload if _is_slim(at) else payload)


def _pairs() -> Iterator[tuple[Repository, str]]:
    styling = {login for r in REPOSITORIES if r.language == "CSS" for login in r.rotation}
    for repository in REPOSITORIES:
        for login in (*CONTRIBUTORS, *OUTSIDERS):
            if repository.language != "Rust" or login not in styling:
                yield repository, login


def _maintenance(story: Story) -> None:
    for repository in REPOSITORIES:
        for number in range(13):
            login = repository.team[draw(2, repository.id, "maintainer", number)]
            at = moment(0, WINDOW_HOURS, repository.id, "maintenance", number)
            message = pick(_MAINTENANCE, repository.id, "message", number)
            sha = digest(repository.id, "maintenance", number)
            payload = payloads.push(repository, login, "main", (message,), at, sha, slim=_is_slim(at))
            story.tell(at, "PushEvent", login, repository, payload)

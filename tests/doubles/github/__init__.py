"""A double of GitHub's API, REST and GraphQL, over real HTTP on loopback."""

from tests.doubles.github.app import Request
from tests.doubles.github.feeds import RecordedPage, recorded_poll
from tests.doubles.github.limits import Limits
from tests.doubles.github.replies import Reply
from tests.doubles.github.server import GitHubDouble, github_double
from tests.doubles.github.state import Account, Comment, Issue, PullRequest, Release, Repository, Review, State

__all__ = [
    "Account",
    "Comment",
    "GitHubDouble",
    "Issue",
    "Limits",
    "PullRequest",
    "RecordedPage",
    "Release",
    "Reply",
    "Repository",
    "Request",
    "Review",
    "State",
    "github_double",
    "recorded_poll",
]

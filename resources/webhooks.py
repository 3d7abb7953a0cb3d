"""GitHub's webhook events that StarSearch reads, and how their deliveries stand in the inbox.

Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from collections.abc import Mapping

EVENT_TYPES: Mapping[str, str] = {
    "pull_request": "PullRequestEvent",
    "issues": "IssuesEvent",
    "issue_comment": "IssueCommentEvent",
    "pull_request_review": "PullRequestReviewEvent",
    "pull_request_review_comment": "PullRequestReviewCommentEvent",
    "release": "ReleaseEvent",
    "push": "PushEvent",
    "public": "PublicEvent",
    "repository": "RepositoryEvent",
}
"""Webhook event -> the type of the Events API's event that says the same; it has none for `repository`."""

EVENT_HEADER = "x-github-event"
NEWS_HEADER = "x-starsearch-news"
"""Header of an arrival that is not GitHub's body but our note of it: how a repository is hidden now."""

PRIVATE = "private"
DELETED = "deleted"

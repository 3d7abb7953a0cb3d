"""The kinds of item that StarSearch knows, and what differs between them.

A further kind is one more descriptor, its table, its branch of the view `items`, and the SQL that
reads it from events; all assets of the kind follow from the descriptor.
"""

from __future__ import annotations

from dataclasses import dataclass

GIT_HISTORY = "git_history"
"""The asset that fetches git history; it has no partitions: a fetch brings commits of any day."""


@dataclass(frozen=True)
class Kind:
    """One kind of item.

    name: singular, as in the `kind` columns and in citations.
    table: the content table, which is also the name of the content asset.
    label: for people.
    event_types: the GitHub event types that can say something about such an item.
    hydrated: whether GitHub's API has to be asked for what its events leave out.
    summarized: whether an item gets a summary; what is its own summary, as a commit's message, does not.
    source: the asset that the items are read from.
    """

    name: str
    table: str
    label: str
    event_types: tuple[str, ...]
    hydrated: bool = False
    summarized: bool = True
    source: str = "events"

    @property
    def hydration(self) -> str:
        """Name of the asset that brings what events leave out."""
        return f"{self.name}_hydration"

    @property
    def summaries(self) -> str:
        """Name of the asset of its summaries."""
        return f"{self.name}_summaries"

    @property
    def embeddings(self) -> str:
        """Name of the asset of its vectors."""
        return f"{self.name}_embeddings"

    @property
    def index(self) -> str:
        """Name of the asset of its index artifacts."""
        return f"{self.name}_index"


PULL_REQUEST = Kind(
    name="pull_request",
    table="pull_requests",
    label="pull request",
    event_types=(
        "PullRequestEvent",
        "PullRequestReviewEvent",
        "PullRequestReviewCommentEvent",
        "IssueCommentEvent",
        "IssuesEvent",
    ),
    hydrated=True,
)
ISSUE = Kind(
    name="issue", table="issues", label="issue", event_types=("IssuesEvent", "IssueCommentEvent"), hydrated=True
)
RELEASE = Kind(name="release", table="releases", label="release", event_types=("ReleaseEvent",))
COMMIT = Kind(name="commit", table="commits", label="commit", event_types=(), summarized=False, source=GIT_HISTORY)

KINDS: tuple[Kind, ...] = (PULL_REQUEST, ISSUE, RELEASE, COMMIT)
BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}

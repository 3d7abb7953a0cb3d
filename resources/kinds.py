"""The kinds of item that StarSearch knows, and what differs between them.

A further kind is one more descriptor, its table, its branch of the view `items`, and the SQL that
reads it from events; all assets of the kind follow from the descriptor.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of item.

    name: singular, as in the `kind` columns and in citations.
    table: the content table, which is also the name of the content asset.
    label: for people.
    event_types: the GitHub event types that can say something about such an item.
    hydrated: whether GitHub's API has to be asked for what its events leave out.
    """

    name: str
    table: str
    label: str
    event_types: tuple[str, ...]
    hydrated: bool = False

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

KINDS: tuple[Kind, ...] = (PULL_REQUEST, ISSUE, RELEASE)
BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}

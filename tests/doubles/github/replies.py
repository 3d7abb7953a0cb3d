"""The ways in which the double can misbehave: one Reply each, in GitHub's words where GitHub has words for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

DOCS = "https://docs.github.com/rest"
LIMITS_DOCS = f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api"
SECONDARY_TEXT = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to "
    "GitHub Support for help, please include the request ID {request_id}."
)
BAD_GATEWAY_HTML = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
Failure = Literal["hang", "hang_up", "cut", "invalid_json", "graphql_errors", "repeat_page"]


@dataclass(frozen=True)
class Reply:
    """One reply to come.

    failure: None says status, headers and body; hang: nothing for `seconds`, then the honest reply; hang_up: the
    connection closes without a word; cut: the honest body ends in the middle; invalid_json: 200 with half the
    honest body as if it were whole; graphql_errors: 200 with `body` as the errors; repeat_page: what the path
    answered before, again.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    failure: Failure | None = None
    seconds: float = 0.0
    keep_data: bool = False


def error(status: int, message: str, documentation_url: str = DOCS, **more: Any) -> Reply:
    """GitHub's body of an error."""
    body = {"message": message, **more, "documentation_url": documentation_url, "status": str(status)}
    return Reply(status, body=body)


def moved_permanently(location: str) -> Reply:
    """301, as for a renamed repository or a transferred issue."""
    body = {"message": "Moved Permanently", "url": location, "documentation_url": f"{DOCS}/guides/best-practices"}
    return Reply(301, {"Location": location}, body)


def not_modified() -> Reply:
    """304 without a body."""
    return Reply(304)


def bad_credentials() -> Reply:
    """401, as for a wrong token."""
    return error(401, "Bad credentials")


def primary_rate_limit(reset: int) -> Reply:
    """403: the hour's budget is spent until `reset`, in seconds since 1970."""
    text = "API rate limit exceeded for user ID 1. If you reach out to GitHub Support for help, please include the "
    reply = error(403, text + "request ID {request_id}.", LIMITS_DOCS)
    return Reply(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}, reply.body)


def secondary_rate_limit(retry_after: int, status: Literal[403, 429] = 403) -> Reply:
    """403 or 429 with Retry-After in seconds."""
    body = error(status, SECONDARY_TEXT, f"{LIMITS_DOCS}#about-secondary-rate-limits").body
    return Reply(status, {"Retry-After": str(retry_after)}, body)


def not_found() -> Reply:
    """404."""
    return error(404, "Not Found")


def gone() -> Reply:
    """410, as for a deleted issue."""
    return error(410, "This issue was deleted", f"{DOCS}/issues/issues#get-an-issue")


def unprocessable() -> Reply:
    """422."""
    errors = [{"resource": "Issue", "code": "invalid", "field": "since"}]
    return error(422, "Validation Failed", f"{DOCS}/issues/issues#list-repository-issues", errors=errors)


def legally_blocked() -> Reply:
    """451, as for a repository that was taken down."""
    block = {
        "reason": "dmca",
        "created_at": "2025-01-01T00:00:00Z",
        "html_url": "https://github.com/github/dmca/blob/master/2025/01/2025-01-01-example.md",
    }
    return Reply(451, body={"message": "Repository access blocked", "block": block})


def server_error() -> Reply:
    """500."""
    return error(500, "Server Error")


def bad_gateway() -> Reply:
    """502 with a proxy's page."""
    return Reply(502, {"Content-Type": "text/html"}, BAD_GATEWAY_HTML)


def query_timed_out() -> Reply:
    """502 with GraphQL's own words about a query that took too long."""
    text = "Something went wrong while executing your query. This may be the result of a timeout, or it could be a "
    text += "GitHub bug. Please include `{request_id}` when reporting this issue."
    return Reply(502, body={"data": None, "errors": [{"message": text}]})


def graphql_errors(*errors: dict[str, Any], keep_data: bool = False) -> Reply:
    """200 with `errors`, beside the honest data or beside `"data": null`."""
    return Reply(body=list(errors), failure="graphql_errors", keep_data=keep_data)


def hang(seconds: float) -> Reply:
    """The honest reply after `seconds`, or nothing where the client leaves before."""
    return Reply(failure="hang", seconds=seconds)


def hang_up() -> Reply:
    """The connection closes without a word."""
    return Reply(failure="hang_up")


def cut() -> Reply:
    """The honest body ends in the middle, short of its announced length."""
    return Reply(failure="cut")


def invalid_json() -> Reply:
    """A complete reply of 200 whose body is no JSON."""
    return Reply(failure="invalid_json")


def repeat_page() -> Reply:
    """What the same path answered before, again: a page that comes twice."""
    return Reply(failure="repeat_page")

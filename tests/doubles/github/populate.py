"""Repositories full of pull requests and issues for benchmarks: what they hold depends on the numbers only."""

from __future__ import annotations

from datetime import timedelta

from tests.doubles.github.state import START, Account, Comment, Issue, PullRequest, Release, Repository, Review, State

PARAGRAPH = "The parser reads one more token than it may, so the last line of a file without a newline is lost. "


def populate(state: State, repositories: int, items: int, busy_items: int | None = None) -> None:
    """`repositories` named octo/repository-1…, each with `items` numbered from 1; every third is an issue.

    busy_items: every twentieth repository has so many instead.
    """
    for number in range(1, repositories + 1):
        repository = Repository(id=number, owner="octo", name=f"repository-{number}")
        here = items if busy_items is None or number % 20 else busy_items
        repository.add(*(_item(number, item) for item in range(1, here + 1)))
        repository.publish(Release(number, "v1.0.0", "First", PARAGRAPH, author=Account("maintainer")))
        state.add(repository)


def _item(repository: int, number: int) -> Issue:
    opened = START + timedelta(minutes=number)
    people = [Account(f"person-{(repository + number + place) % 97}") for place in range(3)]
    title, body = f"Repair case {number} of repository {repository}", PARAGRAPH * (1 + number % 20)
    comments = [Comment(number * 10 + place, PARAGRAPH, people[place], opened) for place in range(number % 3)]
    labels = ["bug"] if number % 2 else []
    if number % 3 == 0:
        return Issue(
            number=number,
            title=title,
            body=body,
            author=people[0],
            created_at=opened,
            updated_at=opened + timedelta(hours=1),
            labels=labels,
            comments=comments,
        )
    closed = opened + timedelta(hours=2)
    return PullRequest(
        number=number,
        title=title,
        body=body,
        state="MERGED",
        author=Account("dependabot", is_bot=True) if number % 5 == 0 else people[0],
        created_at=opened,
        updated_at=closed,
        closed_at=closed,
        merged_at=closed,
        merged_by=people[1],
        labels=labels,
        comments=comments,
        files=[f"source/module_{number % 50}.py", f"tests/test_module_{number % 50}.py"],
        commits=[f"Repair case {number}, part {part}" for part in range(1, 2 + number % 5)],
        reviews=[Review(number * 10, "Looks right.", "APPROVED", people[2], opened + timedelta(hours=1))],
    )

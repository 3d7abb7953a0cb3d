"""Items by key, wherever they are now: renames followed, fates told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from resources.github import GitHub
from resources.github_items import ItemKey, ItemState, NotFound, RepositoryState, fetch_items
from resources.kinds import Kind
from starsearch_assets.hydration.fates import Fates, Gone, Moved, RepositoryHidden

Outcome = ItemState | Gone | Moved | RepositoryHidden


async def fetch_outcomes(
    github: GitHub, fates: Fates, kind: Kind, keys: Sequence[ItemKey]
) -> Mapping[ItemKey, Outcome | str]:
    """What GitHub says of each item; a text says why it said nothing this time."""
    outcomes: dict[ItemKey, Outcome | str] = {}
    elsewhere: list[ItemKey] = []
    for key, answer in (await fetch_items(github, kind, keys)).items():
        if _is_elsewhere(key, answer):
            elsewhere.append(key)
        else:
            outcomes[key] = await _outcome(fates, kind, key, answer)
    renamed = await _renamed(fates, elsewhere, outcomes)
    if renamed:
        answers = await fetch_items(github, kind, list(renamed.values()))
        for key, there in renamed.items():
            outcomes[key] = await _outcome(fates, kind, there, answers[there])
    return outcomes


def _is_elsewhere(key: ItemKey, answer: ItemState | NotFound | str) -> bool:
    """Whether the name does not lead to the repository: it is gone, or another one has taken the name over."""
    if isinstance(answer, NotFound):
        return answer.whole_repository
    # The same number in another repository is that one's item; another number is a transferred one.
    return isinstance(answer, ItemState) and answer.repository.repo_id != key.repo_id and answer.number == key.number


async def _renamed(
    fates: Fates, keys: Sequence[ItemKey], outcomes: dict[ItemKey, Outcome | str]
) -> Mapping[ItemKey, ItemKey]:
    """Keys under the repositories' present names; what GitHub hides goes to `outcomes`."""
    renamed: dict[ItemKey, ItemKey] = {}
    for key in keys:
        found = await fates.repository(key.repo_id)
        if isinstance(found, RepositoryState):
            owner, _, name = found.full_name.partition("/")
            renamed[key] = replace(key, owner=owner, name=name)
        else:
            outcomes[key] = found
    return renamed


async def _outcome(fates: Fates, kind: Kind, key: ItemKey, answer: ItemState | NotFound | str) -> Outcome | str:
    if isinstance(answer, str):
        return answer
    if isinstance(answer, NotFound):
        if answer.whole_repository:
            return "GitHub's REST API shows the repository, its GraphQL API does not"
        return await fates.item(kind, key)
    if answer.repository.private:
        return RepositoryHidden("private")
    if answer.repository.repo_id != key.repo_id:
        return Moved(answer.repository.repo_id, answer.number)
    return answer

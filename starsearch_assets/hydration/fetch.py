"""Items by key, wherever they are now: renames followed, fates told."""

from __future__ import annotations

import asyncio
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
    answers = await fetch_items(github, kind, keys)
    elsewhere = [key for key, answer in answers.items() if _is_elsewhere(key, answer)]
    renamed, outcomes = await _renamed(fates, elsewhere)
    there = await fetch_items(github, kind, list(renamed.values())) if renamed else {}
    asked = [(key, key, answers[key]) for key in answers.keys() - set(elsewhere)]
    asked += [(key, now, there[now]) for key, now in renamed.items()]
    told = await asyncio.gather(*(_outcome(fates, kind, now, answer) for _, now, answer in asked))
    return outcomes | {key: outcome for (key, _, _), outcome in zip(asked, told, strict=True)}


def _is_elsewhere(key: ItemKey, answer: ItemState | NotFound | str) -> bool:
    """Whether the name does not lead to the repository: it is gone, or another one has taken the name over."""
    if isinstance(answer, NotFound):
        return answer.whole_repository
    # The same number in another repository is that one's item; another number is a transferred one.
    return isinstance(answer, ItemState) and answer.repository.repo_id != key.repo_id and answer.number == key.number


async def _renamed(
    fates: Fates, keys: Sequence[ItemKey]
) -> tuple[dict[ItemKey, ItemKey], dict[ItemKey, Outcome | str]]:
    """Keys under the repositories' present names, and the outcomes of those that GitHub hides."""
    renamed: dict[ItemKey, ItemKey] = {}
    hidden: dict[ItemKey, Outcome | str] = {}
    for key, found in zip(keys, await asyncio.gather(*(fates.repository(key.repo_id) for key in keys)), strict=True):
        if isinstance(found, RepositoryState):
            owner, _, name = found.full_name.partition("/")
            renamed[key] = replace(key, owner=owner, name=name)
        else:
            hidden[key] = found
    return renamed, hidden


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

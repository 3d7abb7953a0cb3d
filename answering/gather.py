"""From a question to evidence: search, people and measures, planned by rules."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from answering.change_types import change_type
from answering.evidence import Evidence
from answering.measures import lottery_factor
from answering.question import Intent, Question
from answering.releases import Release
from answering.retrieval import GITHUB, Hit, Scope, newest_items, repository_id, search
from resources.embedder import Embedder
from resources.kinds import BY_NAME
from resources.postgres import Database

_SHOWN = 5
_POOL = 300
"""How many nearest items are looked at when people are ranked."""


@dataclass(frozen=True)
class Gatherer:
    """Finds evidence in one release. threshold: cosine similarity below which a hit does not count."""

    tools: Database
    release: Release
    embedder: Embedder
    threshold: float

    def gather(self, question: Question, scope: Scope) -> Evidence:
        """Evidence for `question` inside `scope`.

        Raises:
            ScopeError: a repository that is not tracked.
        """
        if question.intent is Intent.LOTTERY_FACTOR:
            return self._lottery_factor(question, scope)
        if question.repos and not scope.repos:
            scope = replace(scope, repos=question.repos)
        if question.intent is Intent.PERSON:
            return self._person(question, scope)
        if question.intent is Intent.PEOPLE:
            return self._people(question, scope)
        return self._search(question, scope)

    def _search(self, question: Question, scope: Scope) -> Evidence:
        if question.kinds and set(question.kinds) < set(scope.kinds):
            scope = replace(scope, kinds=tuple(kind for kind in scope.kinds if kind in question.kinds))
        if question.kinds and question.topic == question.text:  # names kinds of items, and nothing else
            hits = newest_items(self.tools, self.release, scope, _SHOWN)
        else:
            hits = self._find((question.text, question.topic), scope, _SHOWN)
        evidence = Evidence(why_not="Nothing that was read comes close enough to this question.")
        for hit in hits:
            evidence.facts.append(f"{_describe(hit)} {_gist(hit)} [{evidence.cite(hit)}]")
        return evidence

    def _person(self, question: Question, scope: Scope) -> Evidence:
        evidence = Evidence(
            why_not="No pull request, issue or release by "
            + " or ".join(f"@{login}" for login in question.logins)
            + " was read in this scope."
        )
        for login in question.logins:
            hits = newest_items(self.tools, self.release, replace(scope, authors=(login,)))
            if question.kinds:
                hits = [hit for hit in hits if hit.kind in question.kinds] or hits
            if question.topic and not _asks_for_types(question.text):
                wanted = self._find((question.topic,), replace(scope, authors=(login,)), 20)
                keys = {(hit.kind, hit.repo_id, hit.ref) for hit in wanted}
                hits = [hit for hit in hits if (hit.kind, hit.repo_id, hit.ref) in keys] or hits
            _add_person(evidence, login, hits)
        return evidence

    def _people(self, question: Question, scope: Scope) -> Evidence:
        knows = [self._authors(topic, scope, ("pull_request",)) for topic in question.knows]
        likes = [self._involved(topic, scope) for topic in question.interested]
        asked = ", ".join((*question.knows, *question.interested))
        evidence = Evidence(why_not=f"Nobody in this scope has work that is about {asked}.")
        groups = [*knows, *likes]
        if not groups:
            return evidence
        people = set.intersection(*(set(group) for group in groups))
        ranked = sorted(people, key=lambda one: (-min(len(group[one]) for group in groups),
                                                 -sum(len(group[one]) for group in groups), one))  # fmt: skip
        for login in ranked[:_SHOWN]:
            parts = []
            for topic, group in zip(question.knows, knows, strict=True):
                cited = "".join(f"[{evidence.cite(hit)}]" for hit in group[login][:3])
                parts.append(f"authored {_plural(len(group[login]), 'pull request')} about {topic} {cited}")
            for topic, group in zip(question.interested, likes, strict=True):
                cited = "".join(f"[{evidence.cite(hit)}]" for hit in group[login][:3])
                parts.append(f"took part in {_plural(len(group[login]), 'item')} about {topic} {cited}")
            evidence.facts.append(f"@{login} {' and '.join(parts)}.")
        return evidence

    def _lottery_factor(self, question: Question, scope: Scope) -> Evidence:
        evidence = Evidence()
        names = question.repos or scope.repos
        if not names:
            evidence.why_not = "A lottery factor belongs to one repository: name it as owner/name."
        for name in names:
            repo_id, repo = repository_id(self.tools, name)
            measure = lottery_factor(self.tools, repo_id, repo, self.release.as_of)
            if measure is None:
                evidence.why_not = f"The lottery factor of {repo} is undefined: no pull request by a person was read."
                continue
            url = f"{GITHUB}/{repo}/pulls"
            title = f"Lottery factor of {repo}: {measure.factor} ({measure.level} risk)"
            number = evidence.cite_measure("lottery_factor", repo, title, url)
            shares = ", ".join(
                f"@{login} {count} ({count / measure.total:.0%})" for login, count in measure.people[:_SHOWN]
            )
            evidence.facts.append(
                f"The lottery factor of {repo} is {measure.factor} ({measure.level} risk): the"
                f" {_plural(measure.factor, 'most active author')} opened at least half of the {measure.total} pull"
                f" requests by people that were opened from {measure.since} to {measure.until} [{number}]."
            )
            evidence.facts.append(f"Pull requests by author: {shares} [{number}].")
        return evidence

    def _find(self, texts: Sequence[str], scope: Scope, k: int) -> list[Hit]:
        """Relevant items, nearest first: of several wordings of a question the nearest counts."""
        best: dict[tuple[str, int, str], Hit] = {}
        for vector in self.embedder.encode(list(dict.fromkeys(texts))):
            for hit in search(self.tools, self.release, vector, scope=scope, k=k):
                known = best.get((hit.kind, hit.repo_id, hit.ref))
                if hit.score >= max(self.threshold, known.score if known else -1.0):
                    best[hit.kind, hit.repo_id, hit.ref] = hit
        return sorted(best.values(), key=lambda hit: (-hit.score, hit.kind, hit.repo_id, hit.ref))[:k]

    def _about(self, topic: str, scope: Scope) -> list[Hit]:
        """Items about a topic: near to it, and naming it where it is a word that items can name."""
        vector = self.embedder.encode([topic])[0]
        hits = search(self.tools, self.release, vector, scope=scope, k=_POOL)
        named = self._naming(topic, hits)
        return named or [hit for hit in hits if hit.score >= self.threshold]

    def _naming(self, topic: str, hits: Sequence[Hit]) -> list[Hit]:
        """Those of `hits` whose title or body has every word of the topic."""
        words = "".join(rf"(?=.*(^|\W){re.escape(word)}(\W|$))" for word in topic.split())
        rows = self.tools.fetch_all(
            "SELECT kind, repo_id, ref FROM items"
            " JOIN unnest(%s::text[], %s::bigint[], %s::text[]) AS found (kind, repo_id, ref)"
            " USING (kind, repo_id, ref)"
            " WHERE concat_ws(' ', title, body) ~* %s",
            [[hit.kind for hit in hits], [hit.repo_id for hit in hits], [hit.ref for hit in hits], f"^{words}"],
        )
        named = set(rows)
        return [hit for hit in hits if (hit.kind, hit.repo_id, hit.ref) in named]

    def _authors(self, topic: str, scope: Scope, kinds: Sequence[str]) -> dict[str, list[Hit]]:
        return _by_person(self._about(topic, replace(scope, kinds=tuple(kinds))))

    def _involved(self, topic: str, scope: Scope) -> dict[str, list[Hit]]:
        """Authors of items about a topic, and people who commented on them."""
        hits = self._about(topic, scope)
        people = _by_person(hits)
        by_item = {(hit.kind, hit.repo_id, hit.ref): hit for hit in hits}
        rows = self.tools.fetch_all(
            "SELECT DISTINCT c.author_login, c.kind, c.repo_id, c.ref FROM comments c"
            " JOIN unnest(%s::text[], %s::bigint[], %s::text[]) AS found (kind, repo_id, ref)"
            " USING (kind, repo_id, ref)"
            " WHERE NOT c.author_is_bot AND c.author_login IS NOT NULL ORDER BY 1, 2, 3, 4",
            [[key[0] for key in by_item], [key[1] for key in by_item], [key[2] for key in by_item]],
        )
        for login, kind, repo_id, ref in rows:
            hit = by_item[kind, repo_id, ref]
            if hit not in people[login]:
                people[login].append(hit)
        return people


def _by_person(hits: Iterable[Hit]) -> defaultdict[str, list[Hit]]:
    people: defaultdict[str, list[Hit]] = defaultdict(list)
    for hit in hits:
        if hit.author and not hit.author_is_bot:
            people[hit.author].append(hit)
    return people


def _asks_for_types(text: str) -> bool:
    return re.search(r"\b(type|types|kind|kinds|sort)s? of\b", text, re.IGNORECASE) is not None


def _add_person(evidence: Evidence, login: str, hits: Sequence[Hit]) -> None:
    if not hits:
        return
    pull_requests = [hit for hit in hits if hit.kind == "pull_request"]
    others = Counter(BY_NAME[hit.kind].label for hit in hits if hit.kind != "pull_request")
    if pull_requests:
        repos = sorted({hit.repo for hit in pull_requests})
        merged = sum(hit.state == "merged" for hit in pull_requests)
        types: defaultdict[str, list[Hit]] = defaultdict(list)
        for hit in pull_requests:
            types[change_type(hit.title)].append(hit)
        first = evidence.cite(pull_requests[0])
        evidence.facts.append(
            f"@{login} authored {_plural(len(pull_requests), 'pull request')} in {', '.join(repos)},"
            f" {merged} of them merged [{first}]."
        )
        for name, group in sorted(types.items(), key=lambda one: (-len(one[1]), one[0])):
            cited = "; ".join(f"{_quoted(hit)} [{evidence.cite(hit)}]" for hit in group[:3])
            evidence.facts.append(f"{name.capitalize()} ({len(group)}): {cited}.")
    for label, count in sorted(others.items()):
        group = [hit for hit in hits if BY_NAME[hit.kind].label == label]
        cited = "; ".join(f"{_quoted(hit)} [{evidence.cite(hit)}]" for hit in group[:3])
        evidence.facts.append(f"Also {_plural(count, label)}: {cited}.")


def _describe(hit: Hit) -> str:
    what = f"{hit.repo}@{hit.ref}" if hit.kind == "release" else f"{hit.repo}#{hit.ref}"
    by = f" by @{hit.author}" if hit.author else ""
    return f"{BY_NAME[hit.kind].label.capitalize()} {what}{by} ({hit.state or 'state unknown'}): {_quoted(hit)}."


def _gist(hit: Hit) -> str:
    text = hit.document.split("\n", 1)[-1].strip()
    text = "" if text == hit.title else _unnumbered(" ".join(text.split()))
    return text if len(text) <= 400 else text[:397].rsplit(" ", 1)[0] + "…"


def _quoted(hit: Hit) -> str:
    return f"“{_unnumbered(hit.title)}”"


def _unnumbered(text: str) -> str:
    """Text of strangers without what would read as one of our citations."""
    return re.sub(r"\[(\d+)\]", r"(\1)", text)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

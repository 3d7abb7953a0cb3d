"""From a question to evidence: search, people and measures, planned by rules."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

from answering import commits
from answering.cards import person_card
from answering.change_types import change_type
from answering.digest import add_changes
from answering.evidence import Evidence
from answering.finding import POOL, Finder
from answering.insights.contributors import By
from answering.insights.experts import TopicWork, know
from answering.names import resolve_repository
from answering.question import Intent, Question
from answering.retrieval import Hit, Scope, newest_items, repository_id, repository_ids
from answering.telling import MEASURES, measure
from answering.times import Span
from answering.wording import days, describe, enumerated, gist, people, plural, quoted, unnumbered
from resources.kinds import BY_NAME, COMMIT
from resources.vectors import Vectors

_SHOWN = 5
_NEWEST = 300
"""Items of a person that are read, newest first, and as many commits beside them."""

_WANTED = 20
"""Items of a person about a topic."""

_OWN_WORDS = frozenset(("lottery", "bus", "truck", "factor", "factors"))
_COMPARES = re.compile(r"\b(?:compar\w+|versus|vs|than|each|or)\b", re.IGNORECASE)


class Gatherer(Finder):
    """Finds evidence in one release."""

    def gather(self, question: Question, scope: Scope) -> Evidence:
        """Evidence for `question` inside `scope`.

        A time that the question names narrows the scope.

        Raises:
            ScopeError: a repository that is not tracked, or a scope without a day.
        """
        named, allowed = Span(question.since, question.until), Span(scope.since, scope.until)
        both = named.within(allowed)
        if both.is_empty and not allowed.is_empty:
            return Evidence(why_not=_no_day(named, allowed))
        scope = replace(scope, since=both.since, until=both.until)
        evidence = self._gather(question, scope)
        if not evidence.facts and named != Span():
            evidence.why_not += f" Only what was active {days(both.since, both.until)} was looked at."
        return evidence

    def _gather(self, question: Question, scope: Scope) -> Evidence:
        if question.measures or question.intent is Intent.WHAT_CHANGED:
            names = self._allowed(question, scope)
            if question.repos and not names:
                allowed = ", ".join(scope.repos)
                return Evidence(why_not=f"This request's scope ({allowed}) leaves out {enumerated(question.repos)}.")
            scope = replace(scope, repos=names)
            return self._measures(question, scope) if question.measures else self._what_changed(question, scope)
        if question.repos and not scope.repos:
            scope = replace(scope, repos=question.repos)
        if question.commits.shas:
            evidence = self._named_commits(question, scope)
            if evidence.facts or question.commits.certain:
                return evidence
        if question.intent is Intent.CHANGES:
            evidence = self._changes(question, scope)
            return evidence if evidence.facts else self._naming_paths(question, scope, evidence.why_not)
        if question.intent is Intent.PERSON:
            return self._person(question, scope)
        if question.intent is Intent.PEOPLE:
            return self._people(question, scope)
        return self._search(question, scope)

    def _search(self, question: Question, scope: Scope) -> Evidence:
        asked = _of_kinds(question, scope)
        if question.kinds and question.topic == question.text:  # names kinds of items, and nothing else
            hits = newest_items(self.tools, self.release, asked, _SHOWN)
        else:
            hits = self.find(question.text, asked, 2 * _SHOWN, topic=question.topic)
            if not hits and COMMIT.name in question.kinds:  # a database's commits, say: the word means other things too
                hits = self.find(question.text, scope, 2 * _SHOWN, topic=question.topic)
            hits = commits.without_repeats(hits)[:_SHOWN]
        evidence = Evidence(why_not="Nothing that was read comes close enough to this question.")
        evidence.tell(hits)
        return evidence

    def _named_commits(self, question: Question, scope: Scope) -> Evidence:
        named = " or ".join(sha[:12] for sha in question.commits.shas)
        evidence = Evidence(why_not=f"No commit whose SHA begins with {named} was read in this scope.")
        for sha in question.commits.shas:
            for hit in commits.by_sha(self.tools, self.release, sha, scope)[:_SHOWN]:
                others = commits.co_authors(self.tools, hit)
                joint = f" Co-authored by {unnumbered(', '.join(others))}." if others else ""
                evidence.facts.append(f"{describe(hit)}{joint} {gist(hit)} [{evidence.cite(hit)}]")
        return evidence

    def _changes(self, question: Question, scope: Scope) -> Evidence:
        """Who changed files, how often and when; then the newest of the changes."""
        if question.logins:
            scope = replace(scope, authors=question.logins)
        asked = " or ".join(question.paths)
        evidence = Evidence(why_not=f"No commit that was read in this scope changed {asked}.")
        for path in question.paths:
            hits = commits.by_path(self.tools, self.release, path, scope)
            if not hits:
                continue
            dates = [hit.activity_day for hit in hits]
            counts = commits.authors(hits)
            listed = ", ".join(f"{unnumbered(person)} {count}" for person, count in counts[:_SHOWN])
            most = f" of {people(len(counts))}" if counts else ""
            newest = "the newest " if len(hits) == commits.NEWEST else ""
            cited = "".join(f"[{evidence.cite(hit)}]" for hit in hits[:3])
            evidence.facts.append(
                f"{unnumbered(path)} was changed by {newest}{plural(len(hits), 'commit')}{most}"
                f" from {min(dates)} to {max(dates)}{': ' if listed else ''}{listed} {cited}."
            )
            evidence.tell(hits[:_SHOWN])
        return evidence

    def _naming_paths(self, question: Question, scope: Scope, why_not: str) -> Evidence:
        """Where no commit tells of the files: items that are near to the question and name one of them."""
        hits = self.find(question.text, scope, POOL)
        named = chain.from_iterable(self.naming(question.paths, [hits] * len(question.paths)))
        evidence = Evidence(why_not=why_not)
        evidence.tell(commits.without_repeats(list(named))[:_SHOWN])
        return evidence

    def _person(self, question: Question, scope: Scope) -> Evidence:
        evidence = Evidence(
            why_not="No pull request, issue, release or commit by "
            + " or ".join(f"@{login}" for login in question.logins)
            + " was read in this scope."
        )
        has_topic = bool(question.topic) and not _asks_for_types(question.text)
        encoding = self.encoding(question.topic) if has_topic else None
        for login in question.logins:
            with ThreadPoolExecutor(1) as beside:
                finding = beside.submit(self._about, question, replace(scope, authors=(login,)), encoding)
                hits, is_all = self._authored(login, scope)
                if question.kinds:
                    hits = [hit for hit in hits if hit.kind in question.kinds] or hits
                joint = commits.co_authored(self.tools, self.release, login, scope)
                newest = None if is_all else _NEWEST
                if card := person_card(self.tools, self.release, login, hits, joint, newest):
                    evidence.cards.append(card)
                about = finding.result()
            among = f" among the newest {newest} items" if newest else ""
            if question.kinds and COMMIT.name not in question.kinds:
                joint = []
            if about is not None:
                joint = []
                found, is_all = about
                if found:
                    hits = sorted(found, key=lambda hit: (hit.activity_day, hit.item), reverse=True)
                    among = "" if is_all else f" among the {_WANTED} items that fit best"
                else:
                    among += f" (none of them close to “{question.topic}”)"
            _add_person(evidence, login, hits, joint, among)
        return evidence

    def _about(
        self, question: Question, scope: Scope, encoding: Future[Vectors] | None
    ) -> tuple[list[Hit], bool] | None:
        """Items about the question's topic, of the kinds that it names, and whether that is all; None where it has
        no topic that is encoded."""
        if encoding is None:
            return None
        found = self.find(question.topic, scope, _WANTED, encoding=encoding)
        kept = [hit for hit in found if hit.state != "merge" and hit.kind in (question.kinds or scope.kinds)]
        return kept, len(found) < _WANTED

    def _authored(self, login: str, scope: Scope) -> tuple[list[Hit], bool]:
        """The newest by a person, newest first, and whether that is everything; of commits, which can be many more than
        all else, a share of their own.

        Merges are left out: what they merge was written by others, or stands in commits of its own.
        """
        scope = replace(scope, authors=(login,))
        others = replace(scope, kinds=tuple(kind for kind in scope.kinds if kind != COMMIT.name))
        own = replace(scope, kinds=tuple(kind for kind in scope.kinds if kind == COMMIT.name))
        items, committed = (newest_items(self.tools, self.release, one, _NEWEST) for one in (others, own))
        is_all = max(len(items), len(committed)) < _NEWEST
        return items + [hit for hit in committed if hit.state != "merge"], is_all

    def _people(self, question: Question, scope: Scope) -> Evidence:
        found = know(self, question.knows, question.interested, scope)
        evidence = Evidence(why_not=found.nobody)
        for one in found.people.people[:_SHOWN] if found.people is not None else ():
            parts = []
            for done in one.topics:
                cited = "".join(f"[{evidence.cite(hit)}]" for hit in done.hits[:3])
                parts.append(f"{_did(done)} about {done.topic} {cited}")
            evidence.facts.append(f"{one.person} {' and '.join(parts)}.")
        return evidence

    def _what_changed(self, question: Question, scope: Scope) -> Evidence:
        evidence = Evidence(why_not="No pull request was merged, no issue closed, and nothing released or committed.")
        add_changes(self.tools, self.release, _of_kinds(question, scope), evidence)
        return evidence

    def _measures(self, question: Question, scope: Scope) -> Evidence:
        evidence = Evidence()
        if question.intent is Intent.LOTTERY_FACTOR and not scope.repos:
            named = [resolve_repository(self.tools, word) for word in question.topic.split()
                     if word.lower() not in _OWN_WORDS]  # fmt: skip
            names = tuple(dict.fromkeys(one.name for one in named if one.name is not None))
            if not names:
                offered = [one.text for one in named if one.candidates]
                asked = "A lottery factor belongs to one repository: name it as owner/name."
                return Evidence(why_not=" ".join([asked, *offered]))
            scope = replace(scope, repos=names)
        apart = question.intent is Intent.LOTTERY_FACTOR or _COMPARES.search(question.text) is not None
        scopes = [replace(scope, repos=(name,)) for name in scope.repos] if apart and scope.repos else [scope]
        for name in question.measures:
            by: By | None = "commits" if COMMIT.name in question.kinds and MEASURES[name].by_sort else None
            for one in scopes:
                measure(self.tools, self.release, name, one, evidence, by=by)
        return evidence

    def _allowed(self, question: Question, scope: Scope) -> tuple[str, ...]:
        """The repositories that the question names, as far as the request allows them; else the request's own."""
        if not scope.repos or not question.repos:
            return question.repos or scope.repos
        allowed = set(repository_ids(self.tools, scope.repos))
        return tuple(name for name in question.repos if repository_id(self.tools, name)[0] in allowed)


def _of_kinds(question: Question, scope: Scope) -> Scope:
    """The scope, held to the kinds that the question names where it allows any of them."""
    return replace(scope, kinds=tuple(kind for kind in scope.kinds if kind in question.kinds) or scope.kinds)


def _no_day(named: Span, allowed: Span) -> str:
    if named.is_empty:
        return f"The times in the question leave no day: it asks since {named.since}, and before {named.until}."
    return (
        f"The question asks for what was {days(named.since, named.until)}, this request allows only what was"
        f" {days(allowed.since, allowed.until)}: no day is in both."
    )


def _did(done: TopicWork) -> str:
    """What somebody did about a topic, counted."""
    if done.interested:
        return f"took part in {plural(done.authored + done.discussed, 'item')}"
    kinds = Counter(BY_NAME[hit.kind].label for hit in done.hits)
    counted = " and ".join(plural(kinds[label], label) for label in sorted(kinds, reverse=True))
    return f"authored {counted}"


def _asks_for_types(text: str) -> bool:
    return re.search(r"\b(type|types|kind|kinds|sort)s? of\b", text, re.IGNORECASE) is not None


def _add_person(evidence: Evidence, login: str, hits: Sequence[Hit], joint: Sequence[Hit], among: str) -> None:
    """What somebody authored. among: which items those were counted among, and what they are not about."""
    if not hits and not joint:
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
            f"@{login} authored {plural(len(pull_requests), 'pull request')}{among} in {_some_of(repos)},"
            f" {merged} of them merged [{first}]."
        )
        for name, group in sorted(types.items(), key=lambda one: (-len(one[1]), one[0])):
            cited = "; ".join(f"{quoted(hit)} [{evidence.cite(hit)}]" for hit in group[:3])
            evidence.facts.append(f"{name.capitalize()} ({len(group)}): {cited}.")
    for label, count in sorted(others.items()):
        group = [hit for hit in hits if BY_NAME[hit.kind].label == label]
        cited = "; ".join(f"{quoted(hit)} [{evidence.cite(hit)}]" for hit in group[:3])
        begins = "Also" if pull_requests else f"@{login} authored"
        evidence.facts.append(f"{begins} {plural(count, label)}{among}: {cited}.")
    if joint:
        cited = "; ".join(f"{quoted(hit)} [{evidence.cite(hit)}]" for hit in joint[:3])
        evidence.facts.append(f"@{login} co-authored {plural(len(joint), 'commit')}: {cited}.")


def _some_of(repos: Sequence[str]) -> str:
    """The first ones by name, and how many more there are."""
    more = len(repos) - _SHOWN
    return ", ".join(repos[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")

"""What agents can look up: typed, read-only functions on the tools role, held to the scope of the request.

A model's arguments narrow that scope and never widen it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Literal

from psycopg.errors import QueryCanceled
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from answering import commits
from answering.errors import AnsweringError, ScopeError
from answering.evidence import Evidence
from answering.gather import Gatherer
from answering.names import resolve_person, resolve_repository
from answering.question import Intent, Question
from answering.retrieval import Scope, named_items, newest_items, repository_ids, shown_ref
from answering.telling import MEASURES, measure
from answering.times import Span
from answering.wording import unnumbered
from resources.errors import WebSearchError
from resources.kinds import COMMIT, ISSUE, PULL_REQUEST, RELEASE
from resources.web_search import WebSearch, query_of

SHOWN = 5
"""Items of one search that become evidence."""


def _storable(text: str) -> str:
    """PostgreSQL takes no U+0000."""
    if "\0" in text:
        raise ValueError("Text without U+0000 is expected")
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_storable)]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Narrowed(_Arguments):
    """What every tool takes."""

    repo: Name | None = Field(None, description="owner/name; leave out for all repositories in scope")
    since: date | None = Field(None, description="first day, YYYY-MM-DD, UTC")
    until: date | None = Field(None, description="day after the last, YYYY-MM-DD, UTC")


class Search(Narrowed):
    """What a search takes."""

    query: Name | None = Field(None, description="what it is about, in words; leave out for the newest")
    author: Name | None = Field(None, description="login, without @")
    state: Literal["open", "closed", "merged", "released", "prerelease"] | None = None
    label: Name | None = None
    technology: Name | None = None


class Item(_Arguments):
    """One item."""

    kind: Literal["pull_request", "issue", "commit", "release"]
    repo: Name = Field(description="owner/name")
    ref: Name = Field(description="number, SHA or tag")


class Path(Narrowed):
    """A file or folder."""

    path: Name = Field(description="file or folder, like src/parser.py")


class Person(Narrowed):
    """Somebody."""

    login: Name = Field(description="login, or full name")


class Topics(Narrowed):
    """Technologies or themes."""

    knows: list[Name] = Field(default_factory=list, max_length=5, description="what people shall know")
    interested: list[Name] = Field(default_factory=list, max_length=5, description="what they shall be interested in")


class Measured(Narrowed):
    """A measure."""

    name: Name = Field(
        description="; ".join(f"{name}: {one.what}" for name, one in MEASURES.items()),
        json_schema_extra={"enum": list(MEASURES)},
    )
    by: Literal["pull_requests", "commits"] | None = Field(
        None, description="lottery_factor and contributor_share only: count this one sort of contribution"
    )


class Refused(Exception):
    """A tool cannot be called like this; says what was expected."""


@dataclass(frozen=True)
class Tool:
    """One function. arguments: a model of what it takes; find: what it does."""

    name: str
    description: str
    arguments: type[BaseModel]
    find: Callable[[Toolbox, Any], Evidence]

    def as_function(self) -> dict[str, Any]:
        """As the chat API describes functions."""
        schema = self.arguments.model_json_schema()
        return {"type": "function",
                "function": {"name": self.name, "description": self.description, "parameters": schema}}  # fmt: skip

    def call(self, toolbox: Toolbox, arguments: str) -> Evidence:
        """Evidence for arguments as a model wrote them.

        Raises:
            Refused: they are no JSON, do not fit, or leave the scope.
        """
        try:
            read = self.arguments.model_validate_json(arguments or "{}")
        except ValidationError as error:
            raise Refused(f"{self.name} cannot be called like this: {problems(error)}.") from error
        try:
            return self.find(toolbox, read)
        except AnsweringError as error:
            raise Refused(str(error)) from error
        except WebSearchError as error:
            raise Refused(f"The web cannot be searched now: {error}") from error
        except QueryCanceled as error:
            raise Refused(f"{self.name} took too long: ask for one repository, or a shorter time.") from error


def problems(error: ValidationError) -> str:
    """What is wrong with arguments, each with its name."""
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in error.errors())


@dataclass(frozen=True)
class Toolbox:
    """Everything that tools need for one answer: one release, and the scope of the request.

    question: as it was asked: what the web is searched for. web: None where that is off.
    """

    gatherer: Gatherer
    scope: Scope
    question: str = ""
    web: WebSearch | None = None

    def narrowed(self, given: Narrowed, kind: str | None = None) -> Scope:
        """The request's scope, narrowed.

        Raises:
            ScopeError: a repository that is not tracked or outside the scope, or a time range outside it.
        """
        scope = self.scope
        if kind is not None:
            scope = replace(scope, kinds=tuple(one for one in scope.kinds if one == kind))
        if given.repo is not None:
            found = resolve_repository(self.gatherer.tools, given.repo)
            if found.name is None:
                raise ScopeError(found.text)
            if scope.repos and found.repo_id not in repository_ids(self.gatherer.tools, scope.repos):
                raise ScopeError(f"{given.repo} is outside the scope of this question: {', '.join(scope.repos)}.")
            scope = replace(scope, repos=(found.name,))
        both = Span(given.since, given.until).within(Span(scope.since, scope.until))
        if both.is_empty:
            raise ScopeError(f"Nothing of that time is in scope: since {both.since} is not before until {both.until}.")
        return replace(scope, since=both.since, until=both.until)


def _search_for(kind: str) -> Callable[[Toolbox, Search], Evidence]:
    def find(toolbox: Toolbox, given: Search) -> Evidence:
        def only(value: str | None) -> tuple[str, ...]:
            return () if value is None else (value,)

        scope = replace(
            toolbox.narrowed(given, kind), authors=only(given.author and given.author.lstrip("@")),
            states=only(given.state), labels=only(given.label), technologies=only(given.technology),
        )  # fmt: skip
        gatherer = toolbox.gatherer
        if not scope.kinds:
            return Evidence(why_not=f"No {kind} is in the scope of this question.")
        if given.query is None:
            hits = newest_items(gatherer.tools, gatherer.release, scope, SHOWN)
        else:
            hits = gatherer.find(given.query, scope, 2 * SHOWN)
        evidence = Evidence(why_not=f"No {kind} in scope comes close enough to {given.query or 'this'!r}.")
        evidence.tell(commits.without_repeats(hits)[:SHOWN])
        return evidence

    return find


def _item(toolbox: Toolbox, given: Item) -> Evidence:
    gatherer = toolbox.gatherer
    scope = toolbox.narrowed(Narrowed(repo=given.repo, since=None, until=None), given.kind)
    ref = given.ref.lstrip("#")
    if given.kind == COMMIT.name:
        hits = commits.by_sha(gatherer.tools, gatherer.release, ref, scope)
    else:
        (repo_id,) = repository_ids(gatherer.tools, scope.repos)
        hits = named_items(gatherer.tools, gatherer.release, given.kind, [(repo_id, ref)], scope)
    evidence = Evidence(why_not=f"{given.repo} {shown_ref(given.kind, ref)} was not read in this scope.")
    evidence.tell(hits[:SHOWN])
    return evidence


def _path(toolbox: Toolbox, given: Path) -> Evidence:
    question = Question(given.path, Intent.CHANGES, "", paths=(given.path.strip("/"),))
    return toolbox.gatherer.gather(question, toolbox.narrowed(given))


def _profile(toolbox: Toolbox, given: Person) -> Evidence:
    scope = toolbox.narrowed(given)
    found = resolve_person(toolbox.gatherer.tools, given.login, scope)
    if found.candidates:
        raise ScopeError(found.text)
    login = (found.name or given.login).lstrip("@")
    question = Question(given.login, Intent.PERSON, "", logins=(login,))
    return toolbox.gatherer.gather(question, scope)


def _experts(toolbox: Toolbox, given: Topics) -> Evidence:
    if not given.knows and not given.interested:
        raise ScopeError("Name what people shall know, or be interested in.")
    question = Question("experts", Intent.PEOPLE, "", knows=tuple(given.knows), interested=tuple(given.interested))
    return toolbox.gatherer.gather(question, toolbox.narrowed(given))


def _measure(toolbox: Toolbox, given: Measured) -> Evidence:
    scope, evidence = toolbox.narrowed(given), Evidence()
    measure(toolbox.gatherer.tools, toolbox.gatherer.release, given.name, scope, evidence, by=given.by)
    return evidence


def _web(toolbox: Toolbox, _: _Arguments) -> Evidence:
    """The query is the question's own words, and no argument: nothing that was read can be carried out by it."""
    if toolbox.web is None:
        raise Refused("Web search is off.")
    query = query_of(toolbox.question)
    evidence = Evidence(why_not="The web search found nothing.")
    for page in toolbox.web.search(query, SHOWN):
        number = evidence.cite_page(page.title, page.url, query)
        evidence.facts.append(f"The web page “{unnumbered(page.title)}” says: {unnumbered(page.snippet)} [{number}].")
    return evidence


SEARCHES = {
    kind.name: Tool(
        f"search_{kind.name}s",
        f"Find {kind.label}s by what they are about, and by repository, author, state, label, technology and time.",
        Search,
        _search_for(kind.name),
    )
    for kind in (PULL_REQUEST, ISSUE, COMMIT, RELEASE)
}
ITEM = Tool("item_detail", "One pull request, issue, commit or release by its number, SHA or tag.", Item, _item)
PATH = Tool("changes_of_path", "Who changed a file or folder, how often and when.", Path, _path)
PROFILE = Tool("contributor_profile", "What somebody has worked on, by type.", Person, _profile)
EXPERTS = Tool("experts", "People by what they know and are interested in, most active first.", Topics, _experts)
MEASURE = Tool("measure", "A figure of a repository, or of all in scope.", Measured, _measure)
WEB = Tool("search_web", "Search the web for the question as it was asked.", _Arguments, _web)

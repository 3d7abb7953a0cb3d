"""Names of repositories and people, resolved on a real database in the tools role: found, offered, or nothing."""

from __future__ import annotations

import pytest

from answering.errors import ScopeError
from answering.names import LONGEST, SHOWN, resolve_person, resolve_repository
from answering.retrieval import Scope
from resources.postgres import Database, Role, open_database
from resources.settings import Settings
from tests.integration.demo import Demo

ROUTER, ROUTER_FORK, TABLE, LOOM, QUEUE, VUEX = range(1, 7)
PRESENT = {
    ROUTER: "remix-run/react-router", ROUTER_FORK: "someone/router.js", TABLE: "tanstack/table",
    LOOM: "kestrel/dataloom", QUEUE: "orchard/parcelpost", VUEX: "vuejs/vuex",
}  # fmt: skip


@pytest.fixture
def known(database: Database, tools: Database) -> Database:
    """Six tracked repositories, one of them renamed, one that is no longer tracked, and the people of two."""
    with database.transaction() as connection:
        for repo_id, name in PRESENT.items():
            connection.execute("INSERT INTO repositories (repo_id, name) VALUES (%s, %s)", [repo_id, name])
            connection.execute(
                "INSERT INTO repository_names VALUES (%s, %s, '2025-02-01', '2025-03-01')", [repo_id, name]
            )
        connection.execute(
            "INSERT INTO repository_names VALUES (%s, 'orchard/queuebird', '2025-01-01', '2025-01-31'),"
            " (%s, 'oldowner/table', '2025-01-01', '2025-01-31'), (99, 'gone/forever', '2025-01-01', '2025-01-31')",
            [QUEUE, LOOM],
        )
        for repo_id, person in [
            (ROUTER, "@brandonroberts"), (ROUTER, "@jane-doe"), (ROUTER, "jd"), (ROUTER, "Max Mustermann"),
            (TABLE, "@brandonroberts"), (TABLE, "Max Mustermann"), (TABLE, "Örjan Ek"), (TABLE, "@release-bot[bot]"),
        ]:  # fmt: skip
            connection.execute("INSERT INTO first_contributions VALUES (%s, %s, '2025-03-01')", [repo_id, person])
            connection.execute(
                "INSERT INTO contributor_days VALUES ('2025-03-01', %s, %s, false, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
                [repo_id, person],
            )
        connection.execute(
            "INSERT INTO same_people VALUES (%s, 'jd', '@jane-doe', 'name'), (%s, 'Jane Doe', '@jane-doe', 'name'),"
            " (%s, 'Max Mustermann', '@max', 'name'), (0, '@jd-old', '@jane-doe', 'override')",
            [ROUTER, ROUTER, ROUTER],
        )
        connection.execute(
            "INSERT INTO comments (repo_id, source, comment_id, kind, ref, author_login, author_is_bot, body,"
            " created_at, observed_at, event_id)"
            " VALUES (%s, 'comment', 1, 'issue', '1', 'OnlyTalks', false, '', '2025-03-01', '2025-03-01', 1),"
            " (%s, 'comment', 2, 'issue', '1', 'JD-old', false, '', '2025-03-01', '2025-03-01', 2)",
            [TABLE, TABLE],
        )
    return tools


@pytest.mark.parametrize(
    ("asked", "repo_id", "said"),
    [
        ("remix-run/react-router", ROUTER, ""),
        ("Remix-Run/REACT-router", ROUTER, ""),
        ("`remix-run/react-router`?", ROUTER, ""),
        ("https://github.com/remix-run/react-router/pull/5#discussion", ROUTER, ""),
        ("github.com/remix-run/react-router.git", ROUTER, ""),
        ("react-router", ROUTER, "react-router is remix-run/react-router."),
        ("orchard/queuebird", QUEUE, "orchard/queuebird is called orchard/parcelpost today."),
        ("queuebird", QUEUE, "queuebird is called orchard/parcelpost today."),
        ("table", TABLE, "table is tanstack/table."),  # a present name goes before LOOM's earlier one
        ("oldowner/table", LOOM, "oldowner/table is called kestrel/dataloom today."),
    ],
)
def test_a_repository_is_found_by_its_names(known, asked, repo_id, said):
    """Present and earlier names, with the owner or alone, in any case, and addresses."""
    found = resolve_repository(known, asked)
    assert (found.found, found.repo_id, found.name, found.candidates) == (True, repo_id, PRESENT[repo_id], ())
    assert found.text == said


@pytest.mark.parametrize(
    ("asked", "repo_id"),
    [
        ("React Router", ROUTER), ("react_router", ROUTER), ("remix-run/reactrouter", ROUTER),  # separators
        ("react-roter", ROUTER), ("react-rrouter", ROUTER), ("react-rooter", ROUTER), ("react-ruoter", ROUTER),  # slips
        ("remix-ruun/react-router", ROUTER), ("kestrel/datalom", LOOM), ("datalooom", LOOM),
    ],
)  # fmt: skip
def test_the_one_name_within_a_slip_is_taken_and_said(known, asked, repo_id):
    """Nothing but separators, or one slip in a part of six letters or more: it is taken, and the asker is told so."""
    found = resolve_repository(known, asked)
    assert (found.repo_id, found.name) == (repo_id, PRESENT[repo_id])
    assert f"is not tracked; {PRESENT[repo_id]} is, and is taken to be meant" in found.text


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ("vuejs/vue", "vuejs/vuex"),  # a name of its own: too short for a slip
        ("kestrel/dataloom2", "kestrel/dataloom"),  # a digit is no slip
        ("facebook/react-router", "remix-run/react-router"),  # another owner's
        ("kestrle/datalom", "kestrel/dataloom"),  # two slips
        ("remix-run", "remix-run/react-router"),  # an owner is no repository
        ("parcel", "orchard/parcelpost"),
    ],
)
def test_what_is_only_similar_is_offered(known, asked, offered):
    """Nothing is taken, and the sentence asks."""
    found = resolve_repository(known, asked)
    assert (found.found, found.name, found.repo_id) == (False, None, None)
    assert offered in found.candidates
    assert f"{asked} is not tracked. Did you mean " in found.text


def test_a_name_that_several_bear_is_offered_with_all_of_them(known, database: Database):
    """An owner has to be said; also where two names are equally near."""
    database.execute("INSERT INTO repositories (repo_id, name) VALUES (7, 'fork/React-Router'), (8, 'fork/dataloon')")
    both = resolve_repository(known, "react-router")
    assert (both.found, both.candidates) == (False, ("fork/React-Router", "remix-run/react-router"))
    assert both.text == "react-router can be fork/React-Router or remix-run/react-router: say which one."
    assert not resolve_repository(known, "react-ruoter").found
    near = resolve_repository(known, "dataloo")
    assert (near.found, set(near.candidates)) == (False, {"kestrel/dataloom", "fork/dataloon"})


def test_a_repository_that_nothing_is_like_is_nothing(known):
    """Also one that is not tracked any more, no text, wildcards of SQL, and a text too long to be a name."""
    for asked in ("zzzz/qqqq", "gone/forever", "%", "_", "\\", "a/b/c", "'; --"):
        found = resolve_repository(known, asked)
        assert (found.found, found.candidates) == (False, ()), asked
        assert "`starsearch repos list` shows them" in found.text
    assert "`starsearch repos add zzzz/qqqq` tracks it" in resolve_repository(known, "zzzz/qqqq").text
    for asked in ("", " \0\n", "x" * (LONGEST + 1)):
        assert resolve_repository(known, asked).text == "No repository is named: write it as owner/name."


@pytest.mark.parametrize(
    ("asked", "person"),
    [
        ("brandonroberts", "@brandonroberts"), ("@BrandonRoberts", "@brandonroberts"),
        ("https://github.com/brandonroberts", "@brandonroberts"), ("@release-bot[bot]", "@release-bot[bot]"),
        ("Jane Doe", "@jane-doe"), ("jane doe", "@jane-doe"), ("jd", "@jane-doe"),  # names that are hers
        ("Örjan Ek", "Örjan Ek"), ("OnlyTalks", "@onlytalks"), ("@jd-old", "@jane-doe"),  # known by comments only
    ],
)  # fmt: skip
def test_a_person_is_found_by_login_or_by_a_name_that_is_theirs(known, asked, person):
    """In any case, with @ or without; names that count as one person are followed."""
    found = resolve_person(known, asked)
    assert (found.found, found.name, found.candidates) == (True, person, ())
    same = f"@{asked.lstrip('@')}".lower() == person or asked == person or "/" in asked
    assert found.text == ("" if same else f"{asked} is {person}.")


def test_a_full_name_of_several_people_is_offered_with_all_of_them(known):
    """In one repository it is a login's, in another nobody knows whose; the scope tells."""
    both = resolve_person(known, "Max Mustermann")
    assert (both.found, set(both.candidates)) == (False, {"@max", "Max Mustermann"})
    assert "say which one" in both.text
    assert resolve_person(known, "Max Mustermann", Scope(repos=("tanstack/table",))).name == "Max Mustermann"


def test_similar_people_are_offered_and_never_taken(known):
    """One letter is enough to be somebody else."""
    for asked in ("brandonrobert", "@brandonrobertss", "Brandon Roberts", "brandon"):
        found = resolve_person(known, asked)
        assert (found.found, found.candidates) == (False, ("@brandonroberts",)), asked
        assert "Did you mean @brandonroberts?" in found.text


def test_people_are_those_of_the_scope(known):
    """Who did nothing in its repositories is nobody there; a repository that is not tracked is refused as ever."""
    scope = Scope(repos=("tanstack/table",))
    assert resolve_person(known, "@jane-doe", scope).text == "Nobody called @jane-doe was read in this scope."
    assert resolve_person(known, "@onlytalks", scope).found
    assert not resolve_person(known, "@onlytalks", Scope(repos=("vuejs/vuex",))).found
    with pytest.raises(ScopeError, match="Did you mean tanstack/table"):
        resolve_person(known, "@jane-doe", Scope(repos=("tanstak/table",)))


def test_nobody_is_nobody(known):
    """No text, @ alone, wildcards, and names unlike any."""
    for asked in ("%", "_", "zzzzzz", "@zzzzzz"):
        found = resolve_person(known, asked)
        assert (found.found, found.candidates, found.text) == (False, (), f"Nobody called {asked} was read.")
    for asked in ("", "@", "\0", "x" * (LONGEST + 1)):
        assert resolve_person(known, asked).text == "Nobody is named: write a login as @login, or a full name."


def test_many_similar_names_are_cut_to_the_nearest(known, database: Database):
    """Of thousands, a few are offered, and one that is exact is found among them."""
    database.execute(
        "INSERT INTO repositories (repo_id, name) SELECT n, 'mass/package' || n FROM generate_series(1000, 7999) n"
    )
    database.execute(
        "INSERT INTO first_contributions SELECT 1000, 'Person ' || n, '2025-01-01' FROM generate_series(1000, 7999) n"
    )
    assert resolve_repository(known, "package7999").repo_id == 7999
    assert len(resolve_repository(known, "packages").candidates) == SHOWN
    assert resolve_person(known, "person 7999").name == "Person 7999"
    assert len(resolve_person(known, "Person").candidates) == SHOWN


def test_the_demo_knows_its_names(demo: Demo):
    """On real rows: a renamed repository, a name alone, a login whose items are in the release."""
    with open_database(Settings(_env_file=None, starsearch_home=demo.home), Role.TOOLS) as tools:
        rename = demo.truth.rename
        assert resolve_repository(tools, rename.old_name).name == rename.new_name
        assert resolve_repository(tools, "react-router").name == "remix-run/react-router"
        assert resolve_person(tools, "BrandonRoberts").name == "@brandonroberts"
        assert resolve_person(tools, "Brandon Roberts").candidates == ("@brandonroberts",)

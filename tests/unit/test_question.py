"""Questions, read by rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answering.errors import AnsweringError
from answering.question import LIMIT, Intent, names_repository, read_question, topic_words

SEARCH, PERSON, PEOPLE, LOTTERY = Intent.SEARCH, Intent.PERSON, Intent.PEOPLE, Intent.LOTTERY_FACTOR


@pytest.mark.parametrize(
    ("text", "intent", "logins", "repos"),
    [
        ("What type of pull requests has @brandonroberts worked on?", PERSON, ["brandonroberts"], []),
        ("which kinds of PRs does @brandonroberts open", PERSON, ["brandonroberts"], []),
        ("What has @x worked on recently?", PERSON, ["x"], []),
        ("What's @jane-doe's work in acme/web?", PERSON, ["jane-doe"], ["acme/web"]),
        ("(@a, @b) and @a: what did they do?", PERSON, ["a", "b"], []),
        ("What did @dependabot[bot] bump?", PERSON, ["dependabot[bot]"], []),
        ("PRs by @jane_corp.", PERSON, ["jane_corp"], []),
        ("Who reviews for @bob?", PERSON, ["bob"], []),
        ("Who are the most prevalent contributors to the TypeScript ecosystem?", PEOPLE, [], []),
        ("Who are the best developers that know Tailwind and are interested in Rust?", PEOPLE, [], []),
        ("Who knows Rust?", PEOPLE, [], []),
        ("who should I ask about flaky tests", PEOPLE, [], []),
        ("Find me Rust developers", PEOPLE, [], []),
        ("Please list some maintainers of parsers", PEOPLE, [], []),
        ("Is there anyone who knows Kubernetes?", PEOPLE, [], []),
        ("Which Rust engineers worked on parsing?", PEOPLE, [], []),
        ("Top 5 Rust contributors", PEOPLE, [], []),
        ("Experts in hydration of acme/web", PEOPLE, [], ["acme/web"]),
        ("Developers interested in WebAssembly", PEOPLE, [], []),
        ("Show me the lottery factor for contributors in the remix-run/react-router project?",
         LOTTERY, [], ["remix-run/react-router"]),
        ("bus factor of a/b", LOTTERY, [], ["a/b"]),
        ("What is the truck-factor of acme/web.js?", LOTTERY, [], ["acme/web.js"]),
        ("Bus factors of acme/web and acme/shop", LOTTERY, [], ["acme/web", "acme/shop"]),
        ("lottery factor", LOTTERY, [], []),
        ("top contributors to acme/web", LOTTERY, [], ["acme/web"]),
        ("Top 10 contributors to acme/web?", LOTTERY, [], ["acme/web"]),
        ("Who maintains acme/web?", LOTTERY, [], ["acme/web"]),
        ("How is the cache invalidated?", SEARCH, [], []),
        ("Has anyone fixed the hydration mismatch?", SEARCH, [], []),
        ("Developer experience improvements", SEARCH, [], []),
        ("List pull requests about caching in acme/web", SEARCH, [], ["acme/web"]),
        ("Did the people page change?", SEARCH, [], []),
        ("Why does the expert mode crash?", SEARCH, [], []),
        ("What happened in https://github.com/acme/web/pull/5?", SEARCH, [], ["acme/web"]),
        ("Clone github.com/acme/web.git fails", SEARCH, [], ["acme/web"]),
        ("See acme/web#12, please.", SEARCH, [], ["acme/web"]),
        ("ACME/Web's caching", SEARCH, [], ["ACME/Web"]),
        ("pkg/errors or lib/pq", SEARCH, [], ["pkg/errors", "lib/pq"]),
    ],
)  # fmt: skip
def test_intent_people_and_repositories(text: str, intent: Intent, logins: list[str], repos: list[str]) -> None:
    """What is asked for, and whom and what it names, in the order of the question and once each."""
    question = read_question(text)
    assert (question.intent, list(question.logins), list(question.repos)) == (intent, logins, repos)


@pytest.mark.parametrize(
    "text",
    [
        "Why did the mail from jane@example.com bounce?", "jane.doe+tag@example.co.uk and <x@y.org> fail",
        "Upgrade of @angular/core", "Are @types/node and @babel/preset-env compatible?",
        "Follow @jane@mastodon.social", "Why does src/index.ts crash?", "docs/guide.md is wrong", "config/app.yaml",
        "app/routes/home.tsx and ./web/main.js", "/etc/passwd and a//b", "and/or", "Does CI/CD run?",
        "TCP/IP over SSL/TLS",
        "client/server and read/write and input/output", "A/B tests of I/O", "24/7 support since 10/2025", "he/she",
        "JavaScript/TypeScript and front-end/back-end", "https://example.com/acme/web", "N/A",
    ],
)  # fmt: skip
def test_what_looks_like_a_name_and_is_none(text: str) -> None:
    """Mail addresses, npm scopes, fediverse handles, paths, foreign URLs and words joined by a stroke name nobody."""
    question = read_question(text)
    assert (question.logins, question.repos, question.intent) == ((), (), SEARCH)


@pytest.mark.parametrize(
    ("text", "knows", "interested"),
    [
        ("Who are the best developers that know Tailwind and are interested in Rust?", ["Tailwind"], ["Rust"]),
        ("Who is interested in Rust and knows Tailwind?", ["Tailwind"], ["Rust"]),
        ("Rust developers interested in WebAssembly", ["Rust"], ["WebAssembly"]),
        ("Who are the most prevalent contributors to the TypeScript ecosystem?", ["TypeScript"], []),
        ("Who is curious about Zig, Nim & Odin?", [], ["Zig", "Nim", "Odin"]),
        ("Give me experts in Kubernetes, Go and Terraform", ["Kubernetes", "Go", "Terraform"], []),
        ("Who knows .NET, C++, C# and Node.js?", [".NET", "C++", "C#", "Node.js"], []),
        ("Who works on type inference?", ["type inference"], []),
        ("Who's the best person to ask about server components?", ["server components"], []),
        ("Top 10 Rust contributors of the last 30 days", ["Rust"], []),
        ("the most active Rust developers", ["Rust"], []),
        ("Who knows React and react and React?", ["React", "react"], []),
        ("Who knows @angular/core?", ["angular core"], []),
        ("Who knows Überraschung?", ["Überraschung"], []),
    ],
)
def test_skills_and_interests(text: str, knows: list[str], interested: list[str]) -> None:
    """Each theme under what it was said to be; phrases about people and time are no themes."""
    question = read_question(text)
    assert question.intent is PEOPLE
    assert (list(question.knows), list(question.interested)) == (knows, interested)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("What type of pull requests has @brandonroberts worked on?", ""),
        ("What's @x been up to?", ""),
        ("What issues did @x open last week?", ""),
        ("What has @x done about type inference?", "type inference"),
        ("How does the router handle errors in acme/web?", "router handle errors"),
        ("Why doesn't it work?", "Why doesn't it work?"),
        ("Does CI/CD cache node_modules?", "CI CD cache node_modules"),
    ],
)
def test_the_topic_is_what_is_left(text: str, topic: str) -> None:
    """Names and filler go; a search without a topic of its own uses the whole question."""
    assert read_question(text).topic == topic


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Which PRs were merged?", ["pull_request"]),
        ("Open issues and pull requests", ["pull_request", "issue"]),
        ("What is new in the latest release of acme/web?", ["release"]),
        ("What changed in acme/releases?", []),
        ("How does caching work?", []),
        ("Who committed the fix?", ["commit"]),
        ("Which commits and pull requests touch caching?", ["pull_request", "commit"]),
        ("Why is the pre-commit hook slow?", []),
    ],
)
def test_kinds_are_read_outside_names(text: str, kinds: list[str]) -> None:
    """Words for kinds count; the same words in a repository's name do not."""
    assert list(read_question(text).kinds) == kinds


@pytest.mark.parametrize(
    ("text", "shas", "certain"),
    [
        ("What did commit 3f2a91c do?", ["3f2a91c"], True),
        ("what did 3F2A91C0 change", ["3f2a91c0"], False),
        ("Explain acme/web@3f2a91c, please", ["3f2a91c"], True),
        ("commit 1234567 or commit deadbeef", ["1234567", "deadbeef"], True),
        ("https://github.com/acme/web/commit/3f2a91c0b1", ["3f2a91c0b1"], True),
        (f"is {'a1' * 20} good", ["a1" * 20], True),
        (f"is {'a1' * 32} good", ["a1" * 32], True),
        ("Why was it defaced on 20251006 by build 1234567?", [], False),
        ("error 0xdeadbee1, v3f2a91c, a3f2a91c.js, @a1b2c3d and 550e8400-e29b-41d4", [], False),
        ("commit 3f2a91", [], False),
    ],
)
def test_commits_are_read_by_their_digits(text: str, shas: list[str], certain: bool) -> None:
    """Seven hexadecimal digits and more, if they are called a commit or are neither a word nor a number."""
    found = read_question(text).commits
    assert (list(found.shas), found.certain) == (shas, certain)


@pytest.mark.parametrize(
    ("text", "paths", "repos"),
    [
        ("Who changed src/foo.py?", ["src/foo.py"], []),
        ("who changed `./engine/wal.rs` in emberdb/emberdb", ["engine/wal.rs"], ["emberdb/emberdb"]),
        ("Who touched setup.py and the file next.js?", ["setup.py", "next.js"], []),
        ("What has changed in packages/router/lib since Monday?", ["packages/router/lib"], []),
        ("Who works on engine/src/?", ["engine/src"], []),
        ("history of .github/workflows/ci.yml", [".github/workflows/ci.yml"], []),
        ("Who edited app/[slug]/page.tsx?", ["app/[slug]/page.tsx"], []),
        ("Which commits by @x changed Cargo.toml?", ["Cargo.toml"], []),
        ("Who changed vercel/next.js?", [], ["vercel/next.js"]),
        ("Who works on discord.py?", [], []),
        ("Who changed Rapptz/discord.py?", [], ["Rapptz/discord.py"]),
        ("Why does src/index.ts crash?", [], []),
        ("What changed in v1.2.3 and 24/7/365 and client/server/proxy?", [], []),
        ("What changed at example.com/a/b.html?", [], []),
        ("What changed around caching?", [], []),
    ],
)
def test_files_whose_changes_are_asked_for(text: str, paths: list[str], repos: list[str]) -> None:
    """Files and folders, told from repositories, versions and words, and only where a change is asked for."""
    question = read_question(text)
    assert (list(question.paths), list(question.repos)) == (paths, repos)
    assert (question.intent is Intent.CHANGES) is bool(paths)


@pytest.mark.parametrize("name", ["acme/web", "vercel/next.js", "Rapptz/discord.py", "acme/docs", "a/b", "2/3d"])
def test_names_that_can_be_repositories(name: str) -> None:
    """Dots and short names are no reason against a repository."""
    assert names_repository(name)


@pytest.mark.parametrize("text", ["", "  \n ", "\u200b\x00"])
def test_an_empty_question_says_what_to_do(text: str) -> None:
    """Nothing visible: an error with an example."""
    with pytest.raises(AnsweringError, match="empty: ask something"):
        read_question(text)


def test_a_long_question_says_the_limit() -> None:
    """The limit itself is read, one more is not."""
    assert read_question("x" * LIMIT).text == "x" * LIMIT
    with pytest.raises(AnsweringError, match="2,001 characters; at most 2,000"):
        read_question("x" * (LIMIT + 1))


def test_who_without_a_topic_is_a_search() -> None:
    """A dot before the verb makes it no topic: nobody can be asked to know nothing."""
    question = read_question("who .know ")
    assert (question.intent, question.knows, question.interested) == (Intent.SEARCH, (), ())


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["@", "/", "who ", "know ", "interested in ", ".", "[bot]", "-"]), st.text(max_size=8)
        )
    ).map("".join)
)
@settings(max_examples=300, deadline=None)
def test_any_question_is_read_or_refused(text: str) -> None:
    """Whatever is asked: a question whose names are well-formed, or AnsweringError."""
    try:
        question = read_question(text)
    except AnsweringError:
        return
    assert question.text == " ".join(question.text.split()) != ""
    assert all("/" in name and names_repository(name) for name in question.repos)
    assert all(name and "/" not in name and "@" not in name for name in question.logins)
    assert topic_words(question.text) == topic_words(" ".join(question.text.split()))
    assert question.intent is not PEOPLE or question.knows or question.interested


def test_words_that_ask_for_everything_of_a_person_are_no_topic_alone() -> None:
    """Beside others they are part of one."""
    assert read_question("Give me an overview of everything by @ada").topic == ""
    assert read_question("What has @ada done about the overview page?").topic == "overview page"
    assert read_question("What has @ada done about the digest?").topic == "digest"

"""The rules that judge a summary by its source, on what models do and on what they should not be blamed for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starsearch_assets.summaries.judging import prompt_texts
from starsearch_assets.summaries.language import is_english
from starsearch_assets.summaries.quality import (
    ECHO,
    ENTITIES,
    LANGUAGE,
    LENGTH,
    LINKS,
    TECHNOLOGIES,
    Judgement,
    count_sentences,
    judge,
)  # fmt: skip
from starsearch_assets.summaries.source import Source, Summary

BODY = (
    "The token cache in `src/auth/token_cache.py` never expires, so readToken() returns stale sessions after 3600"
    " seconds. See https://example.org/rfc/1 and #42, reported by @maria-l in acme/web. Upgrading to v2.4.1 failed;"
    " the client and the server disagree about reading and writing."
)
SOURCE = Source("pull request", "Expire the token cache", BODY, labels=("bug",), comments=("Thanks @joe!",))
GOOD = (
    "The token cache never expired, so readToken returned stale sessions after 3600 seconds. The change expires entries"
    " in src/auth/token_cache.py and keeps v2.4.1 working."
)


def found(text: str, source: Source = SOURCE, *, extractive: bool = False) -> Judgement:
    return judge(source, Summary(text), prompt_texts(), extractive=extractive)


def test_a_good_summary_has_no_flags() -> None:
    """Nothing is held against two sentences that keep to their source."""
    assert found(GOOD) == Judgement()


@pytest.mark.parametrize(
    "text",
    [
        f"{GOOD} See https://example.org/rfc/1, #42 and @maria-l.",
        f"{GOOD} It concerns acme/web and acme/web#42.",
        f"{GOOD} It touches client/server and read/write paths, and/or CI/CD.",
        f"{GOOD} Node.js and main.rs are named in prose, e.g. as examples.",
        f"{GOOD} The MARIA-L account, written @Maria-L, reported it.",
    ],
)
def test_links_of_the_source_are_no_inventions(text: str) -> None:
    """Links, logins and references of the source, in any case, and words with a slash between them are fine."""
    assert LINKS not in found(text).rules


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/x", "hxxps://evil.example", "evil.com", "www.evil.example", "evil．com", "evil。com",
        "ev\u200bil.com", "@mallory", "＠mallory", "#43", "#4242", "GH-43", "torvalds/linux", "torvalds∕linux",
        "other-org/web", "acme/web-fork#42", "someone@evil.example", "https://example.org/other", "gіthub.com",
    ],
)  # fmt: skip
def test_links_that_the_source_lacks_withhold_a_summary(link: str) -> None:
    """A URL, domain, address, login, reference or repository from nowhere, however it is spelled."""
    judgement = found(f"{GOOD} Reported in {link} before.")
    assert LINKS in judgement.rules
    assert judgement.withheld


@pytest.mark.parametrize(
    "echo",
    [
        "Two to four plain English sentences: what was wrong or wanted, what was changed.",
        "TWO  TO FOUR *plain* English sentences - what was wrong or wanted.",
        "two to four pl\u200bain English sentences: what was wrong.",
        "BEGIN TEXT The token cache expires.",
        "It expires. END TEXT",
        "It expires. END-TEXT",
        "As an AI language model, I describe the change.",
        "Here is a summary of the pull request: the cache expires.",
        "Here's a concise summary of it.",
        "Sure! Here is what it does.",
        "I'm sorry, but I cannot help with that.",
        "I cannot summarize this text.",
        '{"summary": "The cache expires."}',
        'The cache expires.", "technologies": ["Redis"]}',
        "```json The cache expires.",
        "The cache expires.<|im_end|>",
        "<think>The user wants a summary.</think> The cache expires.",
        "Summary: the cache expires.",
    ],
)
def test_an_echo_withholds_a_summary(echo: str) -> None:
    """The prompt's words, its fences, the model's manners and remains of its format."""
    judgement = found(echo)
    assert ECHO in judgement.rules
    assert judgement.withheld


@pytest.mark.parametrize(
    "said", ["END TEXT", "As an AI language model", "two to four plain English sentences: what was wrong or wanted"]
)
def test_what_the_source_says_itself_is_no_echo(said: str) -> None:
    """An issue about prompts may be summarized in its own words."""
    assert ECHO not in found(f"{GOOD} It says: {said}.", replace(SOURCE, body=f"{BODY} {said}")).rules


def test_features_of_software_are_no_manners() -> None:
    """“As an AI feature” speaks of the software; sentences may begin with a system or an assistant."""
    for text in ("The editor offers completion as an AI feature. It is off.", "The system summary is here. It counts."):
        assert ECHO not in found(text).rules


def test_entities_that_the_source_lacks_are_counted() -> None:
    """Names, paths, versions and numbers from nowhere are named, and withhold nothing."""
    judgement = found(
        "The class SessionBroker in lib/session_broker.py fails. Version 9.8.7 and 777 tests are affected."
    )
    (flag,) = (flag for flag in judgement.flags if flag.startswith(ENTITIES))
    for name in ("SessionBroker", "lib/session_broker.py", "9.8.7", "777"):
        assert name in flag
    assert not judgement.withheld


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("It calls read_token twice. It returns 1,000 rows in 3 steps.", "readToken() gives 1000 rows"),
        ("GitHub and JavaScript are named. PostgreSQL too.", "nothing of the kind"),
        ("Version 2.4 and the list 1,2,3 stand there. Fine.", "v2.4.1 and [1,2,3]"),
    ],
)
def test_entities_in_other_spellings_are_no_inventions(text: str, body: str) -> None:
    """snake_case of a camelCase name, separators of thousands, names that everybody knows, shortened versions."""
    assert ENTITIES not in found(text, replace(SOURCE, body=body)).rules


def test_length_is_bound_for_an_llm_and_hardly_for_extraction() -> None:
    """One sentence of a long source and five of any are flagged of an LLM; a short source may be said in one."""
    assert LENGTH in found("The token cache expires now, which keeps sessions fresh.").rules
    assert LENGTH in found("One is here. Two is here. Three is here. Four is here. Five is here.").rules
    assert LENGTH in found("Long. " + "word " * 400).rules
    assert LENGTH not in found("Bumps vite.", Source("pull request", "Bump vite", "")).rules
    assert LENGTH not in found("One is here.", extractive=True).rules


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("No end", 1),
        ("Uses v1.2.3, e.g. Node.js. Then it stops.", 2),
        ("修复了错误。更新了文档。", 2),
        ("Why? Yes!", 2),
    ],
)
def test_sentences_are_counted(text: str, count: int) -> None:
    """Versions, names and abbreviations end none; what follows the last end is one."""
    assert count_sentences(text) == count


@pytest.mark.parametrize(
    "text",
    [
        "修复了缓存从不过期的问题，并更新了文档。",
        "Исправлена ошибка кэша, который никогда не очищался.",
        "Der Cache wird nicht mehr für immer gehalten, und die Sitzungen sind nach einer Stunde nicht mehr gültig.",
        "Le cache des jetons est maintenant vidé pour que les sessions ne restent pas dans la mémoire avec le serveur.",
        "La caché de los tokens no se vaciaba, por lo que las sesiones del servidor eran muy viejas para el cliente.",
    ],
)
def test_other_languages_are_flagged(text: str) -> None:
    """Other scripts, and other languages of Latin script; a summary of a Chinese issue is English all the same."""
    assert not is_english(text)
    assert LANGUAGE in found(text, Source("issue", "缓存从不过期", "缓存从不过期,请修复")).rules


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "Bumps vite 5.0.1 to 5.0.2.",
        "The label 修复 is shown in the menu of the de and la locales, as die Übersetzung was missing.",
        "Fixes naïve café parsing.",
    ],
)
def test_english_is_english(text: str) -> None:
    """Quoted terms, locale codes, accents and short texts without function words do not make it foreign."""
    assert is_english(text)


def test_technologies_outside_of_the_vocabulary_are_counted() -> None:
    """They are named in the flag and withhold nothing."""
    judgement = judge(SOURCE, Summary(GOOD, other_technologies=("Zorp",)), (), extractive=False)
    assert judgement == Judgement((f"{TECHNOLOGIES}: Zorp",), False)


@given(st.lists(st.text(max_size=80), min_size=1, max_size=6), st.data())
def test_parts_of_the_source_are_never_inventions(parts: list[str], data: st.DataObject) -> None:
    """Whole lines of any source: no link, no entity and no echo in them is held against them."""
    source = Source("issue", "Title", "\n".join(parts))
    chosen = data.draw(st.lists(st.sampled_from(parts), min_size=1, max_size=3))
    for part in chosen:
        judgement = judge(source, Summary(part), prompt_texts(), extractive=False)
        assert not judgement.rules & {ECHO, LINKS, ENTITIES}
        assert not judgement.withheld


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_can_be_judged(text: str, body: str) -> None:
    """Any two texts are judged, always alike, in flags of one printable line that PostgreSQL takes."""
    source = Source("issue", text[:20], body)
    first, again = (judge(source, Summary(text), prompt_texts(), extractive=False) for _ in range(2))
    assert first == again
    assert all(flag.isprintable() and len(flag) < 200 for flag in first.flags)

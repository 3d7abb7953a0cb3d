"""Times that questions name, read by rules."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answering.question import read_question
from answering.times import Span, named_times

TODAY = date(2025, 10, 9)  # a Thursday


def days(since: str | None, until: str | None) -> Span:
    return Span(date.fromisoformat(since) if since else None, date.fromisoformat(until) if until else None)


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("What changed since 2025-03-01?", "2025-03-01", None),
        ("starting on March 1st, 2025", "2025-03-01", None),
        ("from 2025-03-01 on", "2025-03-01", None),
        ("after 3 March 2025", "2025-03-04", None),
        ("after March 2025", "2025-04-01", None),
        ("before 2025-03-01 in a/b", None, "2025-03-01"),
        ("until March 5, 2025", None, "2025-03-06"),
        ("as of 2025-03-01.", None, "2025-03-02"),
        ("in March 2025", "2025-03-01", "2025-04-01"),
        ("in 2025-12, please", "2025-12-01", "2026-01-01"),
        ("in 2024", "2024-01-01", "2025-01-01"),
        ("in late 2024", "2024-01-01", "2025-01-01"),
        ("during Q4 2024", "2024-10-01", "2025-01-01"),
        ("on 2024-02-29", "2024-02-29", "2024-03-01"),
        ("between 2025-03-01 and 2025-04-01", "2025-03-01", "2025-04-02"),
        ("from 2025-03-01 to 2025-03-31", "2025-03-01", "2025-04-01"),
        ("from March to May 2025", "2025-03-01", "2025-06-01"),
        ("between December 2024 and February 2025", "2024-12-01", "2025-03-01"),
        ("from 2024 until now", "2024-01-01", None),
        ("in May", "2025-05-01", "2025-06-01"),
        ("in December", "2024-12-01", "2025-01-01"),
        ("since March 5", "2025-03-05", None),
        ("since 10 October", "2024-10-10", None),
        ("yesterday", "2025-10-08", "2025-10-09"),
        ("What did @x do last week?", "2025-10-02", "2025-10-09"),
        ("in the past week", "2025-10-02", "2025-10-09"),
        ("last month", "2025-09-01", "2025-10-01"),
        ("over the last month", "2025-09-09", "2025-10-09"),
        ("last year", "2024-01-01", "2025-01-01"),
        ("past 30 days", "2025-09-09", "2025-10-09"),
        ("over the last three weeks", "2025-09-18", "2025-10-09"),
        ("within the last 36 hours", "2025-10-07", "2025-10-09"),
        ("this week", "2025-10-06", None),
        ("this month", "2025-10-01", None),
        ("since Thursday", "2025-10-02", None),
        ("last Friday", "2025-10-03", "2025-10-04"),
        ("since two weeks ago", "2025-09-25", None),
        ("3 days ago", "2025-10-06", "2025-10-07"),
        ("since 2025-03-01 and before 2025-04-01", "2025-03-01", "2025-04-01"),
        ("since 2025-04-01 and before 2025-03-01", "2025-04-01", "2025-03-01"),
    ],
)
def test_times_are_read(text: str, since: str | None, until: str | None) -> None:
    """Days, months, quarters, years and what is said in relation to today, until exclusive."""
    span, rest = named_times(text, TODAY)
    assert span == days(since, until)
    assert not any(character.isdigit() for character in rest)


@pytest.mark.parametrize(
    "text",
    [
        "Release 2024.1", "in 2024.1", "since v2024.1", "upgrade from 2023.2 to 2024.1", "CVE-2024-1234 in a/b",
        "in CVE-2024-1234", "Why do 2025 rows crash?", "in 2024 files", "from 2000 to 2048", "on port 2048",
        "RFC 2019", "ES2015", "issue #2024", "since #2024", "Why does the last month button crash?",
        "the last week view", "the last 30 commits", "the past tense", "What is “fix since 2024” about?",
        'What did "Close what was open in March 2025" do?', "Plan of `since yesterday`", "on 2025-02-30",
        "since 2025-03-01T10:00:00Z", "by May", "It may march on", "March 2025 iteration plan", "between v1.2 and v1.3",
        "How does caching work today?", "in the last release", "acme/2024 in a/in-2024", "yesterday.js",
        "24/7 since 10/2025", "the past 99999999 years", "before the merge", "the thirtieth of February",
        "Bump base-image from 2025-09-01 to 2025-10-01",
    ],
)  # fmt: skip
def test_what_looks_like_a_time_and_is_none(text: str) -> None:
    """Versions, numbers, titles, and nouns that a time only describes narrow nothing."""
    assert named_times(text, TODAY) == (Span(), text)


def test_a_question_has_its_time_apart_from_its_topic() -> None:
    """The words for a time are no topic; where there is none, nothing is narrowed."""
    question = read_question("Which bugs of the parser were fixed in a/b since 2025-03-01?", today=TODAY)
    assert (question.since, question.until) == (date(2025, 3, 1), None)
    assert question.topic == read_question("Which bugs of the parser were fixed in a/b?").topic
    assert (read_question("How are bugs fixed?").since, read_question("How are bugs fixed?").until) == (None, None)


@given(st.dates(date(2012, 1, 1), date(2030, 1, 1)), st.dates(date(1990, 1, 1), date(2030, 1, 1)))
def test_any_day_is_read_as_it_is_written(today: date, day: date) -> None:
    """In ISO form and in words, unless it lies years ahead."""
    for written in (f"{day}", f"{day.day} {day:%B} {day.year}", f"{day:%b} {day.day}, {day.year}"):
        span, _ = named_times(f"since {written}", today)
        assert span == (Span(day, None) if day.year <= today.year + 1 else Span())


WORDS = (
    "since in last past 2025 March 30 days weeks ago the of to between and from yesterday - , . 2025-02-31 Monday q1 0"
)


@given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS.split())).map(" ".join))
def test_any_text_is_read(text: str) -> None:
    """Nothing makes reading fail, and what is kept is only shorter by times."""
    span, rest = named_times(text, TODAY)
    assert span != Span() or rest == text


SPANS = st.builds(Span, st.none() | st.dates(), st.none() | st.dates())


@given(SPANS, SPANS, st.dates())
def test_a_day_is_within_both_or_in_neither(one: Span, other: Span, day: date) -> None:
    """The days of an intersection are those that are in both."""

    def holds(span: Span) -> bool:
        return (span.since is None or span.since <= day) and (span.until is None or day < span.until)

    assert holds(one.within(other)) == (holds(one) and holds(other))

"""Times that a question names, read by rules: the range of days (UTC) to which they narrow it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, timedelta

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 30, "year": 365}
_NUMBERS = {"a": 1, "an": 1, "one": 1, "couple": 2, "two": 2, "few": 3, "three": 3, "four": 4, "six": 6}

_YEAR = r"(?:19[89]\d|20\d\d)"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"[0-3]?\d(?:st|nd|rd|th)?"
_UNIT = rf"(?:{'|'.join(_DAYS)})s?"
_CALENDAR = r"(?:last|previous|this) (?:week|month|year)"
_AGO = rf"(?:\d{{1,4}}|{'|'.join(_NUMBERS)})"
_MOMENT = (
    rf"(?:{_YEAR}-[01]\d-[0-3]\d|{_YEAR}-[01]\d|(?:the )?{_DAY}(?: of)? {_MONTH}(?:,? {_YEAR})?"
    rf"|{_MONTH} {_DAY}(?:,? {_YEAR})?|{_MONTH}(?:,? {_YEAR})?|q[1-4],? {_YEAR}"
    rf"|(?:the year |early |mid[ -]|late )?{_YEAR}|(?:last )?(?:{'|'.join(_WEEKDAYS)})|yesterday|{_CALENDAR}"
    rf"|{_AGO} {_UNIT} ago)"
)
# What can follow a time: the end, punctuation, or a word that begins something new. Not a noun that it describes, as in
# “the last week button” and “in 2024 files”; nor digits, as in 2024.1.
_END = (
    r"(?=\s*(?:$|[?!;:)\]]|[.,](?![\w-])|[–—-] )|,? (?:and|or|but|in|of|by|for|on|at|to|with|about|was|were|is|are|did"
    r"|do|does|has|have|had|who|whom|what|which|how|where|why|until|till|before|after|through|compared|than|the|that|as"
    r"|please|onwards?|up|[\w.-]+/[\w.-]+|@[\w-]+)(?![\w/-]))"
)
_TIME = re.compile(
    rf"\b(?:(?:between|from) (?P<first>{_MOMENT})(?: (?:and|to|until|till|through|up to) |\s?[–—]\s?| - )"
    rf"(?P<last>{_MOMENT}|today|now)"
    rf"|(?P<how>since|starting(?: in| on)?|after|until|till|up to|as of|before|in|during|throughout|within|of|on|from)"
    rf" (?P<moment>{_MOMENT})"
    rf"|(?:(?:in|over|during|within|for|of|from) )?(?:the )?past (?:(?P<past>{_AGO}) )?(?P<past_unit>{_UNIT})"
    rf"|(?:(?:in|over|during|within|for|of|from) )?(?:the )?last (?P<last_number>{_AGO}) (?P<last_unit>{_UNIT})"
    rf"|(?:in|over|during|within) the last (?P<the_last>{_UNIT})"
    rf"|(?P<alone>yesterday|{_CALENDAR}|last (?:{'|'.join(_WEEKDAYS)})|{_AGO} days? ago)){_END}",
    re.IGNORECASE,
)
_VERSIONS = re.compile(r"\b(?:bump|upgrad|downgrad)\w*\b[^.?!]*$", re.IGNORECASE)
_QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|`[^`]*`|«[^»]*»|„[^“”]*[“”]")


@dataclass(frozen=True)
class Span:
    """Days, until exclusive; None: open."""

    since: date | None = None
    until: date | None = None

    def within(self, other: Span) -> Span:
        """The days that are in both; where none is, `since` is not before `until`."""
        starts = [day for day in (self.since, other.since) if day is not None]
        ends = [day for day in (self.until, other.until) if day is not None]
        return Span(max(starts, default=None), min(ends, default=None))

    @property
    def is_empty(self) -> bool:
        """Whether no day is in it."""
        return self.since is not None and self.until is not None and self.since >= self.until


def named_times(text: str, today: date) -> tuple[Span, str]:
    """The days that a question is about, and the question without the words for them.

    A time counts behind a preposition (“since 2025-03-01”, “in March 2025”) or where it is said in relation to `today`
    (“last week”, “the past 30 days”, “yesterday”), outside quotation marks, and where it describes no noun.

    Until and to take their day in, before and after leave it out. The last and the past week are the seven days before
    today, as not everybody's week begins on the same day; last month and last year are those of the calendar, the past
    month and year the 30 and 365 days before today. A month without a year is the newest that has begun.
    """
    span = Span()
    quotes = [match.span() for match in _QUOTED.finditer(text)]
    for match in reversed(list(_TIME.finditer(text))):
        dated = match["first"] and _VERSIONS.search(text[: match.start()])  # from one version to the next
        fourth = match["how"] and match["how"].lower() == "of" and re.fullmatch(_MONTH, match["moment"], re.IGNORECASE)
        if dated or fourth or any(start < match.start() < end for start, end in quotes):
            continue
        try:
            named = _named(match, today)
        except (ValueError, OverflowError):  # no such day: 2025-02-30
            continue
        span = span.within(named)
        text = f"{text[: match.start()]} {text[match.end() :]}"
    return span, text


def _named(match: re.Match[str], today: date) -> Span:
    """The days of one time; raises ValueError or OverflowError where there are none."""
    if match["first"]:
        last = _moment(match["last"], today)
        year = last.since.year if last.since and re.search(_YEAR, match["last"]) else None
        return Span(_moment(match["first"], today, year).since, last.until)
    if match["moment"]:
        how, one = match["how"].lower(), _moment(match["moment"], today)
        if how.startswith(("since", "starting")) or (how == "from" and one.until == _after(one.since)):
            return Span(one.since, None)
        if how == "after":
            return Span(one.until, None)
        if how == "before":
            return Span(None, one.since)
        return Span(None, one.until) if how in ("until", "till", "up to", "as of") else one
    if match["alone"]:
        return _moment(match["alone"], today)
    number = match["past"] or match["last_number"] or "one"
    unit = match["past_unit"] or match["last_unit"] or match["the_last"]
    return Span(today - timedelta(days=_length(number, unit)), today)


def _moment(text: str, today: date, year: int | None = None) -> Span:
    """The days of a moment: of a day, month, quarter, year or week. year: of a month that is said without one."""
    words = [
        word for word in re.findall("[a-z]+|[0-9]+", text.lower()) if word not in ("of", "the", "st", "nd", "rd", "th")
    ]
    if words[-1] == "ago":
        return _day(today - timedelta(days=_length(words[0], words[1])))
    if words[-1] in ("today", "now"):
        return Span(today, None)
    if words[-1] == "yesterday":
        return _day(today - timedelta(days=1))
    if words[-1] in _WEEKDAYS:
        return _day(today - timedelta(days=(today.weekday() - _WEEKDAYS.index(words[-1]) - 1) % 7 + 1))
    if words[-1] in ("week", "month", "year"):
        return _calendar(words[0], words[-1], today)
    numbers = [int(word) for word in words if word.isdigit()]
    months = [_MONTHS.index(word[:3]) + 1 for word in words if word[:3] in _MONTHS]
    years = [number for number in numbers if number > 31]
    small = [number for number in numbers if number <= 31]
    if years and years[0] > today.year + 1:
        raise ValueError(f"{years[0]} is too far ahead to be a year that a question means")
    if words[0] == "q":
        return Span(_first(years[0], 3 * small[0] - 2), _first(years[0], 3 * small[0] + 1))
    if not months and not small:
        return Span(date(years[0], 1, 1), date(years[0] + 1, 1, 1))
    month, *days = months + small
    if not years and year is None:
        year = today.year - (date(today.year, month, days[0] if days else 1) > today)
    chosen = years[0] if years else year or today.year
    return _day(date(chosen, month, days[0])) if days else Span(_first(chosen, month), _first(chosen, month + 1))


def _calendar(which: str, unit: str, today: date) -> Span:
    """This or the last week, month or year."""
    if unit == "week":
        return (
            Span(today - timedelta(days=today.weekday()), None)
            if which == "this"
            else Span(today - timedelta(days=7), today)
        )
    start = date(today.year, today.month if unit == "month" else 1, 1)
    if which == "this":
        return Span(start, None)
    return Span(_first(start.year, start.month - 1) if unit == "month" else date(start.year - 1, 1, 1), start)


def _length(number: str, unit: str) -> int:
    """So many units in days, rounded up."""
    return math.ceil((_NUMBERS.get(number.lower()) or int(number)) * _DAYS[unit.lower().removesuffix("s")])


def _first(year: int, month: int) -> date:
    """The first day of a month; months 0 and 13 are the ones beside the year."""
    return date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)


def _day(day: date) -> Span:
    return Span(day, _after(day))


def _after(day: date | None) -> date | None:
    return None if day is None else day + timedelta(days=1)

"""What templates of issues and pull requests say by themselves: their questions, thanks, and sections left empty."""

from __future__ import annotations

import re
from typing import Final

_VERBS = (
    "describe|include|explain|provide|list|specify|summarize|summarise|add|fill|delete|remove|read|check|review|ensure"
    "|make sure|answer|complete|follow|tick|mark|search|attach|note"
)
_NOUNS = (
    "summary|description|details?|steps|information|info|context|motivation|screenshots?|templates?|sections?|below|above"
    "|guidelines?|contributing|checklist|boxes|here|this pr|your pr|pull request|this issue|the issue|the problem"
    "|the bug"
    "|duplicates?|related issues?|existing issues?|instructions|dependencies that are required"
)
_TEMPLATE_LINES: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"please (?:also )?(?:{_VERBS})\b.{{0,200}}\b(?:{_NOUNS})\b",
        r"thank(?:s| you)(?: so much| very much| a lot)?[,!]? for (?:contributing"
        r"|your (?:contribution|pull request|pr\b|"
        r"interest|time)|opening|submitting|filing|taking the time|reporting|helping (?:us|to make|make))",
        r"(?:we )?(?:appreciate|thank you for) your contribution",
        r"a (?:clear and concise|concise and clear|clear|short) description of\b",
        r"add any other (?:context|information)\b",
        r"if applicable,? add\b",
        r"steps to reproduce the behaviou?r:?$",
        r"is your feature request related to a problem",
        r"describe (?:the solution you'd like|alternatives you've considered|the tests that you ran)",
        r"for guidance on contributing\b",
        r"want to work on this issue",
        r"before submitting (?:this|an?|your|the)\b",
        r"i have (?:read|searched|checked) (?:the|for|through|all)\b",
        r"(?:fixe?s?|closes?|resolves?)(?: issue)?:? *#? *"
        r"(?:\(issue(?: number)?\)|<issue[^>]{0,20}>|\[issue[^\]]{0,20}\]|#|(?<=:))$",
        r"(?:go to|click on|scroll down to) ['\"`][.…]{1,5}['\"`]$",
        r"see error$",
        r"💡 you can make copilot \w{3,12}\b",
        r".{0,40}\[e\.g\.[^\]]{0,80}\]$",
        r"(?:_no response_|no response|\(?optional\)?|n/?a|none|tbd|todo|-|\.{1,3}|…)[.!]?$",
    )
)
_TEMPLATE_TITLE: Final = re.compile(
    r"(?:describe the bug|to reproduce|steps to reproduce|expected behaviou?r|actual behaviou?r|screenshots?|desktop|"
    r"smartphone|additional context|additional information|environment|checklist|type of change|types of changes|"
    r"motivation(?: and context)?|how has this been tested|related issues?|what(?: does)? this pr do(?:es)?|version|"
    r"logs?|"
    r"describe alternatives|describe the solution)\b.{0,60}$",
    re.IGNORECASE,
)
_HEADING = re.compile(r"[ \t]{0,3}(#{1,6})[ \t]+(\S.*)$")
_LEADING = re.compile(r"[\s>*_+#-]{0,20}(?:\d{1,3}[.)][ \t]{1,5})?")
_BARE_LABEL = re.compile(r"\*\*[^*]{1,80}\*\*:?$")
_TEXT, _LABEL = 99, 7


def without_boilerplate(text: str) -> str:
    """`text`, still in Markdown, without lines that templates have of their own and headings with nothing below them.

    A heading stays where text, or a deeper heading that stays, stands below it.
    """
    kept: list[str] = []
    below: set[int] = set()  # levels of what was kept so far, seen from the end, and not yet claimed by a heading
    for line in reversed(text.split("\n")):
        words = line.strip()
        if not words:
            kept.append("")
            continue
        level = _level(line, words)
        if level == _TEXT:
            if not _is_template(words):
                kept.append(line)
                below.add(_TEXT)
            continue
        filled = any(other > level for other in below)
        below = {other for other in below if other <= level}
        if filled:
            kept.append(line)
            below.add(level)
    return "\n".join(reversed(kept))


def _level(line: str, words: str) -> int:
    """Of a heading, 1 to 6; _LABEL for bold words that templates use as one; _TEXT otherwise."""
    if match := _HEADING.match(line):
        return len(match[1])
    if _BARE_LABEL.match(words) and _TEMPLATE_TITLE.match(words.strip("*: ")):
        return _LABEL
    return _TEXT


def _is_template(words: str) -> bool:
    bare = words[_leading(words) :][:400].rstrip("*_ \t")
    return not bare or any(pattern.match(bare) for pattern in _TEMPLATE_LINES)


def _leading(words: str) -> int:
    match = _LEADING.match(words)
    return match.end() if match else 0

"""Logs, stack traces, diffs and long code folded to the lines that say what went wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

_CODE_LINES = 8
"""Lines of code that stay as they are."""
_RUN = 4
"""Log lines in a row, outside of a code block, from which on they are folded."""
_ERRORS = 3
_LINE = 200

_LANGUAGE = re.compile(r"[ \t]*(?:`{3,}|~{3,})[ \t]*([^\s`~{]{0,30})")
_ERROR = re.compile(
    r"\b\w{0,60}(?:Error|Exception|Failure)\b(?!s)|\b(?:panic|fatal|FATAL|FAILED|Caused by|assert(?:ion)? failed"
    r"|Segmentation fault|core dumped|SIGSEGV|SIGABRT|error)\b[: ]",
)
_LOG = re.compile(
    r"\s{0,20}(?:"
    r"at [\w$.<>]{2,200}[( ]|File \"|Traceback \(most|Caused by:|\.\.\. \d+ (?:more|common)|#\d+ +0x|frame #\d+"
    r"|\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\[?\d\d:\d\d:\d\d[.,\] ]|(?:DEBUG|INFO|WARN|WARNING|ERROR|TRACE|FATAL)\b[ :\]]"
    r"|goroutine \d+ |0x[0-9a-fA-F]{6,16}\b|npm (?:ERR!|WARN)|[IWEF]\d{4} \d\d:\d\d"
    r")"
)
_DIFF = re.compile(r"(?:diff --git |@@ -\d|index [0-9a-f]{7,40}\.\.|[+-]{3} [ab]/)")
_INDENTED = re.compile(r"(?: {4}|\t)")


def folded_block(block: str) -> str:
    """What stays of a fenced block, its fences included; "" for one with nothing in it."""
    first, *lines = block.split("\n")
    if lines and not lines[-1].strip().strip("`~"):
        lines.pop()
    lines = [line.rstrip() for line in lines if line.strip()]
    language = match[1].lower() if (match := _LANGUAGE.match(first)) else ""
    if not lines:
        return ""
    if language in ("diff", "patch", "suggestion") or any(_DIFF.match(line) for line in lines):
        return f"[… {_lines(len(lines))} of diff]"
    logged = sum(_LOG.match(line) is not None for line in lines)
    if len(lines) <= _CODE_LINES and logged <= len(lines) // 2:
        return "\n".join(line[:_LINE] for line in lines)
    return _folded(lines, "log" if logged or _errors(lines) else "code")


def fold_runs(lines: Sequence[str], keep: Callable[[str], str]) -> Iterator[str]:
    """`lines`, each run of log lines and indented ones replaced by what `keep` returns for its folded text."""
    for logged, group in groupby(lines, lambda line: bool(_LOG.match(line) or _INDENTED.match(line))):
        run = [line for line in group if line.strip() or not logged]
        if not logged:
            yield from run
        elif len(run) >= _RUN and any(_LOG.match(line) for line in run):
            yield keep(_folded(run, "log"))
        elif len(run) > _CODE_LINES:
            yield keep(_folded(run, "code"))
        else:
            yield from (line.strip() for line in run)


def _folded(lines: Sequence[str], what: str) -> str:
    """The first lines that tell of an error, in their order, and how many lines there are besides."""
    errors = _errors(lines) if what == "log" else []
    rest = len(lines) - len(errors)
    told = [line.strip()[:_LINE] for line in errors]
    return "\n".join([*told, f"[… {_lines(rest)} of {what}]"] if rest else told)


def _errors(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if _ERROR.search(line[:500])][:_ERRORS]


def _lines(number: int) -> str:
    return f"{number} line" if number == 1 else f"{number} lines"

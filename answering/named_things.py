"""Commits and files that a question names, read by rules."""

from __future__ import annotations

import re
from dataclasses import dataclass

_URL = re.compile(r"github\.com/[\w-]+/[\w.-]+/commits?/([0-9a-f]{7,64})\b", re.IGNORECASE)
_HEX = re.compile(r"(?:(?<![\w/.#@+-])|(?<=\w@))([0-9a-f]{7,64})(?![\w-]|\.\w)", re.IGNORECASE)
_CALLED = re.compile(r"(?:\bcommit|\bsha|\brevision|\bhash|\w@)[ :]*$", re.IGNORECASE)
_WHOLE = (40, 64)  # digits of a SHA-1 and of a SHA-256

_CHANGE = re.compile(
    r"\b(?:chang(?:e[sd]?|ing)|touch(?:e[sd]|ing)?|edit(?:s|ed|ing)?|modif(?:y|ies|ied|ying)|history|commits?|committed"
    r"|wrote|written|works? on|worked on|working on|maintains?|owns?|updat(?:e[sd]?|ing)|happened (?:to|in))\b",
    re.IGNORECASE,
)
_DIRECTLY = re.compile(
    r"\b(?:chang(?:e[sd]?|ing)|touch(?:e[sd]|ing)?|edit(?:s|ed|ing)?|modif(?:y|ies|ied|ying)|files?|path|history of"
    r"|commits? to|committed to|happened (?:to|in))(?: (?:the|to|in|file|folder|of))*\s*[`'\"“‘(]?$",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[^\s`'\"“”‘’,;!?<>]+")
_PATH = re.compile(r"\.?[\w@+\[\](){}$~-][\w.@+\[\](){}$~/-]*", re.ASCII)
_FOLDERS = frozenset(
    "app apps bin build cmd components config crates dist doc docs etc examples home include internal lib libs"
    " node_modules packages pkg public script scripts server spec src static test tests tmp tools usr utils var"
    " vendor .github .vscode".split()
)
# What no repository's name ends in; .js, .py and .rb are also the ends of names (next.js, discord.py).
_SOURCE = re.compile(
    r"\.(?:tsx?|jsx|mjs|cjs|json|jsonc|ya?ml|toml|lock|mdx?|rst|txt|s?css|html?|sql|xml|csv|ini|env|rs|go|kts?|java|swift"
    r"|cc?|cpp|cxx|hh?|hpp|cs|scala|clj|exs?|erl|hs|ml|pyi|sh|bash|ps1|gradle|proto|tf|vue|svelte|zig|lua|php|pl)$",
    re.IGNORECASE,
)
_ENDS = re.compile(r"\.[A-Za-z]\w{0,7}$")
_ALSO_NAMES = re.compile(r"\.(?:js|py|rb)$", re.IGNORECASE)


@dataclass(frozen=True)
class NamedCommits:
    """SHAs, or beginnings of them. certain: the question says that they are commits; else they may be other digits."""

    shas: tuple[str, ...] = ()
    certain: bool = False


NO_COMMITS = NamedCommits()


def named_commits(text: str) -> tuple[NamedCommits, str]:
    """The commits that a question names, and the question without their digits.

    Seven hexadecimal digits and more count where they are called a commit (or stand behind owner/name@), where there
    are 40 or 64 of them, or where they mix letters and digits: neither a word nor a number is a SHA.
    """
    shas = [match[1].lower() for match in _URL.finditer(text)]
    certain = bool(shas)
    taken: list[tuple[int, int]] = []
    for match in _HEX.finditer(text):
        digits = match[1]
        called = _CALLED.search(text[: match.start()]) is not None
        mixed = not digits.isalpha() and not digits.isdigit()
        if called or mixed or len(digits) in _WHOLE:
            shas.append(digits.lower())
            taken.append(match.span())
            certain = certain or called or len(digits) in _WHOLE
    for start, end in reversed(taken):
        text = f"{text[:start].removesuffix('@')} {text[end:]}"
    return NamedCommits(tuple(dict.fromkeys(shas)), certain), text


def named_paths(text: str) -> tuple[tuple[str, ...], str]:
    """Files and folders whose changes a question asks for, and the question without them."""
    if not _CHANGE.search(text):
        return (), text
    paths: list[str] = []
    for match in reversed(list(_TOKEN.finditer(text))):
        token = match[0].strip("()").rstrip(".:")
        directly = _DIRECTLY.search(text[: match.start()]) is not None
        if _is_path(token.removeprefix("./"), directly=directly):
            paths.append(token.removeprefix("./").strip("/"))
            text = f"{text[: match.start()]} {text[match.end() :]}"
    return tuple(dict.fromkeys(reversed(paths))), text


def _is_path(token: str, *, directly: bool) -> bool:
    """Whether a word is a file or folder. directly: the question says so (“changed …”, “the file …”)."""
    if not _PATH.fullmatch(token) or token.startswith("@") or ".." in token or not re.search("[A-Za-z]", token):
        return False
    parts = token.strip("/").split("/")
    known, ends = parts[0].lower() in _FOLDERS, _ENDS.search(parts[-1]) is not None
    if len(parts) == 1:
        return directly and (token.endswith("/") or bool(_SOURCE.search(token) or _ALSO_NAMES.search(token)))
    if not all(parts) or ("." in parts[0] and not known and len(parts) > 2 and not parts[0].startswith(".")):
        return False  # //, or a host
    if len(parts) == 2:  # owner/name looks the same
        return known or token.endswith("/") or bool(_SOURCE.search(parts[1]))
    return known or ends or token.endswith("/")

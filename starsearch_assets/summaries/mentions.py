"""What a text names that can be looked up in another: links, logins, identifiers, paths, versions, numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cached_property

# As domains in prose; names of files and of code (Node.js, main.rs, java.util) end in others.
_TLDS = (
    "com|org|net|io|dev|ai|edu|gov|xyz|info|biz|ru|cn|de|uk|fr|jp|br|in|eu|nl|ly|gg|gl|tk|top|site|online|shop|club|app"
    "|cloud|page|link|live|world|space|tech|co|me"
)
_FILES = (
    "py|rs|js|ts|tsx|jsx|go|java|rb|c|h|cc|cpp|hpp|cs|php|md|rst|txt|json|ya?ml|toml|lock|sh|sql|css|scss|html|xml|ini"
    "|cfg|conf|swift|kt|scala|lua|vue"
)
_LINK = re.compile(
    r"(?P<url>\bh(?:tt|xx)ps?:/{0,2}[^\s<>\"')\]]+|\b(?:ftp|git|ssh|file)://[^\s<>\"')\]]+|\bwww\.[^\s<>\"')\]]+)"
    r"|(?P<mail>\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<login>(?<![\w/@.-])@(?P<name>[A-Za-z0-9][A-Za-z0-9-]{0,38})(?:/[\w.-]+)?)"
    rf"|(?P<domain>(?<![\w@.-])(?:[\w-]+\.)+(?:{_TLDS})(?![\w-]|\.\w|\()(?:/[^\s<>\"')\]]*)?)"
    r"|(?P<reference>(?<![\w/&-])(?:[\w.-]+/[\w.-]+)?#(?P<number>\d+)\b|\bGH-(?P<gh>\d+)\b)"
    r"|(?P<repository>(?<![\w/.@:~-])(?P<owner>[A-Za-z0-9][A-Za-z0-9-]{0,38})"
    rf"/(?P<repo>(?![\d.]+\b)(?!\w[\w-]*\.(?:{_FILES})\b)\w[\w.-]*)(?![\w/]))",
    re.IGNORECASE,
)
_PAIR_WORDS = frozenset(
    "and or either read write input output client server import export on off yes no true false get set start stop"
    " before after open close enable disable add remove upload download push pull request response create update delete"
    " insert edit load save show hide up down left right min max old new source target left right tcp udp ip http https"
    " ci cd i o a b os ui ux api sdk cli db key value name path file files dir folder directory option options class"
    " function method build test tests he she his her him they dev prod production development staging debug release"
    " windows linux macos mac unix android ios desktop mobile width height row rows column columns user group host port"
    " success failure error errors warning warnings sync async public private internal external mount unmount connect"
    " disconnect login logout sign in out serialize deserialize encode decode encrypt decrypt lock unlock allow deny"
    " accept reject include exclude expand collapse undo redo copy paste cut major minor patch html css js ts json xml"
    " yaml svg png jpg gif pdf md rst frontend backend front end memory cpu gpu disk network x86 arm".split()
)

_ENTITY = re.compile(
    r"(?P<path>(?<![\w/:.-])(?:[\w.-]+/){2,}[\w.-]*\w|(?<![\w/.-])(?:[\w-]+/)+[\w-]+\.[A-Za-z]\w{0,7}\b)"
    rf"|(?P<file>(?<![\w/.-])[\w-]+\.(?:{_FILES})\b)"
    r"|(?P<version>(?<![\w.-])v?\d+(?:\.\d+){1,4}(?:-?(?:alpha|beta|rc|dev)[.-]?\d*)?(?![\w]))"
    r"|(?P<name>(?<![\w-])(?:_*[A-Za-z][A-Za-z0-9]*(?:_+[A-Za-z0-9]+)+_*|[A-Za-z]*[a-z][A-Z][A-Za-z0-9]*"
    r"|[A-Z][A-Z]+[a-z]+[A-Z][A-Za-z0-9]*)(?!\w))"
    r"|(?P<number>(?<![\w.,-])(?:\d{1,3}(?:,\d{3})+|\d+)(?![\w-]|[.,]\d))"
)
_FEW = 10
"""Numbers up to this are counts that a summary may make itself: "three tests"."""

_COMMON_NAMES = frozenset(
    "github gitlab javascript typescript postgresql mysql mongodb graphql openapi macos ios ipados oauth oauth2 nodejs"
    " youtube linkedin openssl openai webassembly websocket websockets webpack vscode intellij pytorch tensorflow numpy"
    " scipy sqlite powershell latex devops saas dotnet restful csharp cmake pypi ipv4 ipv6 wifi coffeescript jquery"
    " rubygems gradle rabbitmq fastapi pylint nextjs uri urls apis cis prs ids uuids cves uis ides cpus gpus vms dbs"
    " pdfs sdks clis".split()
)
_NO_LETTERS = re.compile(r"[\W_]+")
_IDEOGRAPHIC_DOT = re.compile("(?<=[A-Za-z0-9])。(?=[A-Za-z])")
"""Browsers take it for the dot of a domain; elsewhere it ends a sentence."""

_LOOKALIKES = str.maketrans({"∕": "/", "⁄": "/", "⧸": "/", "‐": "-", "‑": "-", "−": "-"})


class Text:
    """A text as it is looked up in: without the tricks that make two strings look alike, ready for many questions."""

    def __init__(self, *parts: str) -> None:
        self.shown = plain("\n".join(parts))

    @cached_property
    def folded(self) -> str:
        """In one case."""
        return self.shown.casefold()

    @cached_property
    def squashed(self) -> str:
        """Letters and digits only: `read_file`, `readFile` and "read file" are the same."""
        return squash(self.shown)

    @cached_property
    def words(self) -> frozenset[str]:
        """Words in one case."""
        return frozenset(re.findall(r"[^\W_]+", self.folded))

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Runs of digits, without separators of thousands and leading zeros."""
        joined = re.sub(r"(?<=\d)[,_](?=\d{3}(?!\d))", "", self.shown)
        return frozenset(digits.lstrip("0") or "0" for digits in re.findall(r"\d+", joined))

    def names(self, word: str) -> bool:
        """Whether `word` stands in it as a whole, hyphens and underscores being part of words."""
        return re.search(rf"(?<![\w-]){re.escape(word.casefold())}(?![\w-])", self.folded) is not None


def foreign_links(summary: str, source: Text) -> list[str]:
    """URLs, domains, addresses, logins, references and repositories of a summary that its source lacks."""
    return _without_repeats(match.group() for match in _LINK.finditer(plain(summary)) if not _is_linked(match, source))


def foreign_entities(summary: str, source: Text) -> tuple[list[str], int]:
    """Identifiers, paths, versions and numbers of a summary that its source lacks; and how many it names at all."""
    named = _without_repeats(match.group() for match in _entities(plain(summary)))
    return [name for name in named if not _is_named(name, source)], len(named)


def plain(text: str) -> str:
    """Compatibility forms folded, invisible characters gone, lookalikes of punctuation replaced."""
    if text.isascii():
        return text
    text = _IDEOGRAPHIC_DOT.sub(".", unicodedata.normalize("NFKC", text).translate(_LOOKALIKES))
    return "".join(character for character in text if unicodedata.category(character) != "Cf")


def squash(text: str) -> str:
    """Only the letters and digits of a text, in one case."""
    return _NO_LETTERS.sub("", text.casefold())


def _is_linked(match: re.Match[str], source: Text) -> bool:
    text = match.group().rstrip(".,;:!?")
    if match["login"]:
        return source.names(match["name"]) or text.casefold() in source.folded
    if match["reference"]:
        number, repository = match["number"] or match["gh"], text.partition("#")[0] if "#" in text else ""
        return number.lstrip("0") in source.numbers and repository.casefold() in source.folded
    if match["repository"]:
        return text.casefold() in source.folded or _is_a_pair(match["owner"], match["repo"].rstrip("."), source)
    return text.casefold().rstrip("/") in source.folded


def _is_a_pair(left: str, right: str, source: Text) -> bool:
    """Whether `left`/`right` is two words of prose ("client/server") rather than an owner and a repository."""
    return all(_is_a_word(half.casefold(), source) for half in (left, right))


def _is_a_word(word: str, source: Text) -> bool:
    return (
        word in _PAIR_WORDS
        or word.isdigit()
        or squash(word) in source.words
        or source.names(word)
        or (len(word) > 4 and any(known.startswith(word[:5]) for known in source.words))
    )


def _entities(text: str) -> Iterator[re.Match[str]]:
    for match in _ENTITY.finditer(text):
        number = match["number"]
        if number is None or int(number.replace(",", "")) > _FEW:
            yield match


def _is_named(name: str, source: Text) -> bool:
    squashed = squash(name)
    if name[0].isdigit() and name.replace(",", "").isdigit():
        return squashed.lstrip("0") in source.numbers
    if re.fullmatch(r"v?\d+(?:\.\d+)+", name):
        return re.search(rf"(?<![\d.]){re.escape(name.lstrip('v'))}(?!\d)", source.shown) is not None
    singular = squashed.removesuffix("s")
    return (
        squashed in _COMMON_NAMES or squashed in source.squashed or (len(singular) > 3 and singular in source.squashed)
    )


def _without_repeats(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(one.rstrip(".,;:!?") for one in found))

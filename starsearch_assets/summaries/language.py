"""Whether a text is English prose, by scripts and function words.

No library: a summary is two to four sentences full of identifiers, on which statistical detectors err (langdetect is
not even deterministic); the good ones carry models of tens of megabytes. What has to be told apart here is coarse: an
answer in another script, or in one of the European languages that people write issues in.
"""

from __future__ import annotations

import re
import unicodedata

_FOREIGN_LETTERS = 0.3
"""Share of letters outside of the Latin script above which a text is not English: a quoted term or name may stand."""

_WORDS_TO_TELL = 8
"""Fewer words of prose tell nothing: a title can do without function words, in any language."""

_WORD = re.compile(r"(?<![\w/.@#-])[^\W\d_]+(?:['’][^\W\d_]+)?(?![\w/-])")

_ENGLISH = frozenset(
    "the a an of to and in is are was were be been it its this that these those for with on as by from at or not but"
    " when which who where while so than then into can could should would will may has have had do does did there they"
    " them their we you your our i he she if no only also after before because without".split()
)
_OTHERS = tuple(
    frozenset(words.split())
    for words in (
        # German, French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish, Swedish and Danish, Indonesian.
        # What is an English word or a common name too (die, man, on, me, or, as, in, no, of) is left out.
        "der das und ist nicht ein eine einen mit für auf den dem von zu werden wird wurde sich auch nach bei aus wenn",
        "le la les des et est une du dans pour que qui sur pas avec ce cette sont aux par il elle nous vous été au",
        "el los las y es una del para que con se lo por su al está como más pero esta este cuando fue hay sin",
        "os um uma é não para que com se por mais como foi ao da dos das na são está quando ele isso em",
        "il lo gli di che è una per con non sono della del nel alla si come più quando questo questa dei",
        "het een van en dat niet voor met zijn wordt deze door naar ook als er bij maar kan moet",
        "nie jest się że na z w przez dla jak który oraz aby po ze są tego",
        "ve bir bu için ile olarak değil olan daha çok gibi ama var kadar",
        "och att det som är en ett för inte med till av den har på og ikke",
        "yang dan untuk tidak dengan ini itu dari pada akan ada juga saya bisa",
    )
)


def is_english(text: str, *, prose: bool = True) -> bool:
    """Whether `text` is English, as far as it can be told: what is too short to tell counts as English.

    prose: whether it should be made of whole sentences; then a dozen words without one English function word are none.
    """
    text = unicodedata.normalize("NFKC", text)
    letters = [character for character in text if character.isalpha()]
    if sum(not _latin(character) for character in letters) > _FOREIGN_LETTERS * len(letters):
        return False
    words = [word.casefold() for word in _WORD.findall(text)]
    if len(words) < _WORDS_TO_TELL:
        return True
    english = sum(word in _ENGLISH for word in words)
    other = max(sum(word in language for word in words) for language in _OTHERS)
    if other >= 3 and other > english:
        return False
    return not prose or english > 0 or len(words) < 1.5 * _WORDS_TO_TELL


def _latin(character: str) -> bool:
    return character.isascii() or unicodedata.name(character, "").startswith(("LATIN ", "FEMININE ", "MASCULINE "))

"""Measures that a question asks for, read by rules."""

from __future__ import annotations

import re
from collections.abc import Sequence

REPOSITORY = "§"
"""What stands for a repository's name in the texts that are read here."""

_PULLS = r"(?:pull[ -]?requests?|prs?|merge requests?|patch(?:es)?|changes|contributions?)"
_REVIEW = r"(?:(?:code )?reviews?|pull[ -]?requests?|prs?)"
_SOON = r"(?:fast|quickly|soon|slowly)"
_HOW_SOON = r"how (?:fast|quick(?:ly)?|long|soon|slow(?:ly)?|responsive)\b"
_THING = rf"(?:(?:the |this |that )?(?:project|repo(?:sitory)?)|it|{REPOSITORY})"
_ASKED: dict[str, re.Pattern[str]] = {
    name: re.compile("|".join(rf"(?:{pattern})" for pattern in patterns), re.IGNORECASE)
    for name, patterns in {
        "contributor_share": (
            r"\bcontribut(?:or|ion) (?:shares?|distribution)\b",
            r"\b(?:shares?|distribution|percent(?:age)?|split) of (?:the |all )?(?:contributions|commits|work)\b",
            r"\b(?:contributions|work|commits)\b.{0,30}\b(?:distributed|spread|split|concentrated)\b",
            r"\bwho (?:does|did|has done|is doing) (?:the )?most\b",
        ),
        "cohorts": (
            r"\b(?:new|first[ -]time|returning|lost|former|departed|gone) (?:contributors?|people|developers?|devs)\b",
            r"\bnewcomers?\b|\b(?:contributors?|developers?|maintainers?) (?:retention|turnover|churn)\b",
            rf"\bwho (?:(?:is|are) (?:new|gone)|(?:has |have |had )?(?:left|joined|stopped contributing|returned))\b"
            rf"(?=(?: (?:to|in|at|from))? *(?:{_THING}|[?.!]|$))",
            r"\bcontributors?\b.{0,20}\b(?:left|joined|gained|lost|came back|are gone|stopped|returned)\b",
            r"\b(?:gain(?:ed|ing)?|los(?:t|e|ing)|retain(?:ed|ing)?) (?:\w+ )?contributors\b",
        ),
        "response_times": (
            r"\b(?:time|how long|median|average|wait\w*)\b.{0,40}\bfirst (?:response|reply|answer|comment|review)s?\b",
            rf"\b{_HOW_SOON}.{{0,60}}\b(?:respon[ds]\w*|repl(?:y|ies|ied)|answer(?:s|ed)?|react(?:s|ed)?|review(?:ed)?)\b",
            rf"\b(?:respon[ds]\w*|repl(?:y|ies)|answers?|review(?:s|ed)?)\b.{{0,40}}\b{_SOON}\b",
            r"\b(?:response|reply|answer|review) times?\b|\bhow responsive\b|\bresponsiveness\b",
        ),
        "merge_times": (
            rf"\b{_HOW_SOON}.{{0,60}}\b(?:merg(?:e|ed|es|ing)|land(?:s|ed)?)\b",
            r"\b(?:time|hours|days)\b.{0,30}\b(?:to|until|till|before) (?:a |the |being |be )*merged?\b",
            r"\bmerg(?:e|ing) (?:times?|speeds?|latency)\b",
            rf"\bmerg(?:e[sd]?|ing)\b.{{0,40}}\b{_SOON}\b",
            rf"\bhow long\b.{{0,20}}\b{_PULLS}\b.{{0,20}}\b(?:stay|remain|are|is)\b.{{0,10}}\bopen\b",
        ),
        "merge_ratio": (
            rf"\b(?:shares?|percent(?:age)?|proportion|fraction|ratio|rate|part|how many|number)\b.{{0,30}}\b{_PULLS}\b"
            r".{0,40}\b(?:merged|accepted|rejected|unmerged|without (?:a )?merg(?:e|ing))\b",
            r"\b(?:merge|acceptance|rejection) (?:ratios?|rates?|percentages?)\b",
            r"\b(?:chances?|odds|likel(?:y|ihood)|probab\w+)\b.{0,50}\b(?:merged|accepted)\b",
        ),
        "unreviewed_pushes": (
            r"\b(?:push(?:e[sd]|ing)?|commit(?:s|ted|ting)?)\b.{0,30}\b(?:straight|direct(?:ly)?)\b",
            r"\b(?:direct|straight|unreviewed|unmerged) (?:push(?:es)?|commits?)\b",
            rf"\bpush(?:e[sd]|ing)?\b.{{0,40}}\b(?:without|bypass\w*|skip\w*|around)\b.{{0,30}}\b{_REVIEW}\b",
            rf"\b(?:bypass|skip)\w* (?:the )?{_REVIEW}\b",
            r"\bpush(?:e[sd]|ing)? (?:in)?to (?:the )?(?:main|master|default)\b",
        ),
        "contributor_confidence": (
            r"\bcontributor confidence\b",
            r"\b(?:stargazers?|star(?:s|red|ring)?|fork(?:s|ed|ers?|ing)?)\b.{0,60}\b(?:contribut\w+|c[oa]me back)\b",
        ),
        "release_cadence": (
            r"\bhow (?:often|frequent(?:ly)?|regular(?:ly)?)\b.{0,60}\b(?:releas\w+|publish\w*|shipp?\w*|versions?)\b",
            r"\b(?:releas\w+|publish\w*|ships?)\b.{0,40}\b(?:often|frequently|regularly)\b",
            r"\breleas(?:e|ing) (?:cadence|frequency|rhythm|intervals?)\b|\bcadence of releases\b",
            r"\b(?:time|days|weeks|interval) between (?:\w+ )?releases\b|\bhow many releases\b",
        ),
        "activity_trend": (
            rf"\b(?:is|are|was) {_THING} (?:still |being |actively |currently |even )*"
            r"(?:alive|active|dead|dying|maintained|unmaintained|inactive|abandoned|developed|growing|declining|stale)\b",
            rf"\bhow (?:active|alive|lively|busy) (?:is|are|was)\b|\bactivity (?:of|in|on|at) {_THING}",
            r"\b(?:activity|contributions?) (?:trends?|over time|levels?)\b",
            r"\btrends? (?:of|in) (?:the )?(?:activity|contributions?)\b",
        ),
    }.items()
}  # fmt: skip
_HEALTH = re.compile(
    rf"\bhow healthy (?:is|are)\b|\bhealth of {_THING}|\b(?:is|are) {_THING} (?:still )?healthy\b", re.IGNORECASE
)
_OF_HEALTH = ("activity_trend", "response_times", "merge_ratio", "lottery_factor")
_NO_FIGURE = re.compile(r"^(?:why|how to|how (?:do|can|could|should|would) (?:i|we|you|one))\b", re.IGNORECASE)
# What else such questions are made of. A question with any other word is about something, and for search.
_VOCABULARY = frozenset(
    """
    accept accepted acceptance active actively activity actually again alive answer answered answers average back being
    branch bus busy bypass bypasses bypassed bypassing cadence came chance chances churn close closed code come comes
    compare compared confidence contributor-share dead declining default departed developed direct directly
    distributed distribution dying each end ended ends even every fast faster first first-time fork forked forkers
    forks former fraction frequency frequent frequently gain gained gaining get gets getting given go goes gone
    growing happen happens health healthy high hour hours inactive interval intervals join joined land landed late
    latency left let level levels likelihood likely lively long longer lose losing lost low main maintainer
    maintainers master mean median merge merges merging minutes name new newcomer newcomers next number odds off often
    open opened opening over overall part patch patches people per percent percentage probability proportion publish
    published publishes pull-request pull-requests push pushed pushes pushing quick quickly rate rates ratio ratios
    react reacts regular regularly reject rejected rejection remain reply replies replied respond responded responding
    responds response responses responsive responsiveness retain retained retention returned returning review reviewed
    reviewing reviewers reviews rhythm see share shares ship shipped ships skip skips skipped skipping slow slowly so
    soon speed split spread stale star starred stargazer stargazers starring stars stay still stopped straight take
    taken takes than then time times total trend trends turnover typical typically unmaintained unmerged unreviewed
    until usual usually version versions versus vs wait waiting waits way without yet abandoned around
    """.split()
)


def asked_measures(text: str, words: Sequence[str]) -> tuple[str, ...]:
    """Names of the measures that a question asks for, in its order; none where it asks why, or about something as well:
    a measure counts whole repositories.

    text: the question with REPOSITORY for each repository. words: those of it that carry a topic.
    """
    if _NO_FIGURE.search(text) or any(word.lower() not in _VOCABULARY for word in words):
        return ()
    if _HEALTH.search(text):
        return _OF_HEALTH
    found = [(match.start(), name) for name, pattern in _ASKED.items() if (match := pattern.search(text))]
    return tuple(name for _, name in sorted(found))

"""Turns catalogue entries into the bodies, comments and reviews that people write."""

from __future__ import annotations

from collections.abc import Sequence

from starsearch_assets.sample.cast import Bump, Repository
from starsearch_assets.sample.catalogue import Entry
from starsearch_assets.sample.clock import draw, pick

_PULL_STYLES = (
    "{problem} {cause}\n\n{change} {check}",
    "## Summary\n\n{change}\n\n## Background\n\n{problem} {cause}\n\n## Testing\n\n{check}",
    (
        "<!-- Thank you for the contribution. Please say what changes and why. -->\n\n"
        "### What changes\n\n- {change}\n- {check}\n\n### Why\n\n{problem} {cause}\n\n### Checklist\n\n"
        "- [x] tests\n- [x] change log"
    ),
    "**Problem.** {problem}\n\n**Cause.** {cause}\n\n**Change.** {change}\n\n**Verified.** {check}",
    "{change}\n\n> {problem}\n\n{cause} {check}",
    "* {problem}\n* {cause}\n* {change}\n\nNotes on testing: {check}",
)

_ISSUE_STYLES = (
    "{symptom}\n\n{detail}\n\n{wish}",
    (
        "### What happens\n\n{symptom}\n\n### Details\n\n{detail}\n\n### What I expected\n\n{wish}\n\n"
        "### Environment\n\n{environment}"
    ),
    "{symptom} {detail}\n\n{wish}\n\nSeen with {environment}.",
    (
        "<!-- Please search the open issues first. -->\n\n**Describe it**\n\n{symptom}\n\n"
        "**Anything else**\n\n{detail} {wish}"
    ),
    "{symptom}\n\n- {detail}\n- {wish}\n\n```text\n{environment}\n```",
)

_REPORT_DETAILS = (
    "It happens every time for me; the smallest example that shows it is a few lines long.",
    "A colleague sees the same on another machine, so it is not my set-up.",
    "We noticed it after the last upgrade, but it may be older.",
    "It took a while to find, since nothing is logged.",
    "I bisected as far as I could: the two previous minor versions behave alike.",
)
_REPORT_WISHES = (
    "I can test a fix.",
    "Is there a way around until it is fixed?",
    "A hint where to look would be enough, I could try to write the change.",
    "Tell me what else you need to know.",
    "It is not urgent for us, but it is confusing for newcomers.",
)
_FIX_CHECKS = (
    "The report is now a regression test.",
    "A test follows the steps of the report and fails without the change.",
    "Checked with the example from the report and two variations of it.",
    "The person who reported it confirmed the fix on a preview build.",
)

_ISSUE_COMMENTS = (
    "Thanks for the report. I can reproduce it in {area}.",
    "I cannot reproduce it yet. Could you share the configuration for {area}?",
    "Same here, with {environment}.",
    "The relevant code is in `{path}`; it has not changed for a year, so this is probably old.",
    "I had a look: the assumption in `{path}` does not hold in this case.",
    "A smaller example would help a lot.",
    "We talked about it in the weekly call and would accept a change.",
    "This bit us last week too. As a workaround we restart every night 😅",
    "Let us keep this open until somebody has measured it.",
    "Is this still the case on the main branch?",
    "I would rather document it than change it. Opinions?",
    "Good find! The documentation of {area} should mention it in any case.",
    "I will take this one.",
    "Moved to the next milestone, there is no time left in this one.",
    "Confirmed. A bisect points to the change of {area} in the last minor release.",
    "+1, we have the same need.",
)
_PULL_COMMENTS = (
    "Thanks, this is much easier to follow than before.",
    "I tried the branch on our own code base and it behaves as described.",
    "Could you rebase? The check on `{path}` was fixed on the main branch.",
    "One test failed in CI, it looks unrelated to {area}. I restarted it.",
    "Should this get an entry in the change log?",
    "Numbers on my machine: about the same gain as in the description.",
    "Rebased and squashed.",
    "Can we split off the part that touches `{path}`? It would be quicker to review.",
    "I am fine with it once the naming question is settled.",
    "Does it need a note for people who upgrade?",
    "Pushed the requested changes. The edge case has a test of its own now.",
    "Merging tomorrow unless somebody objects.",
    "Closing in favour of a smaller change, thanks for the discussion!",
    "This would have saved me a day last month 🎉",
)
_REVIEWS = (
    ("approved", "Looks good to me."),
    ("approved", "Very clear, thank you. I checked {area} by hand."),
    ("approved", ""),
    ("approved", "Nice clean-up. Two remarks that need not hold it up."),
    ("changes_requested", "The approach is right, but `{path}` needs a test for the failure case."),
    ("changes_requested", "This breaks callers that rely on the old order, see below."),
    ("changes_requested", "Please add a word to the documentation of {area}."),
    ("commented", "Some questions first, see below."),
    ("commented", "I have read half of it and will finish tomorrow."),
    ("commented", ""),
)
_REVIEW_COMMENTS = (
    "What happens here when the list is empty?",
    "Could this be a constant with a name?",
    "I think that the condition is the wrong way round.",
    "This allocates in a hot loop, doesn't it?",
    "Nit: the name suggests that it returns something.",
    "Why not reuse the helper from {area}?",
    "A comment on why this order matters would help the next reader.",
    "The error is dropped here, is that on purpose?",
    "Can this be negative? If not, an assertion would say so.",
    "👍",
    "Is there a test that fails without this line?",
    "The same value is computed two lines above.",
)
_CONVENTIONAL = ("react_router", "dataloom", "petal_ui", "nimbus_operator")
_HUNK = "@@ -{line},6 +{line},9 @@\n \n-  previous\n+  changed"


def path_of(repository: Repository, entry: Entry) -> str:
    """The file that an entry is mostly about."""
    return repository.path.replace("{area}", entry.area)


def pull_request_body(repository: Repository, entry: Entry, fixes: int | None) -> str:
    """The body of a pull request: the entry's paragraphs in one of the repository's habits."""
    key = (repository.id, entry.title)
    problem, cause, change, check = entry.lines[:4]
    style = _PULL_STYLES[pick(repository.styles, *key, "style")]
    body = style.format(problem=problem, cause=cause, change=change, check=check)
    if draw(5, *key, "command") == 0:
        body += f"\n\n```sh\n{repository.test_command}\n```"
    if fixes is not None:
        body = f"{body}\n\nFixes #{fixes}" if draw(2, *key, "fixes") else f"Closes #{fixes}.\n\n{body}"
    if draw(9, *key, "windows") == 0:
        body = body.replace("\n", "\r\n")
    return body


def issue_body(repository: Repository, entry: Entry) -> str:
    """The body of an issue; flags add a U+0000 or a very long log."""
    key = (repository.id, entry.title)
    symptom, detail, wish = entry.lines[:3]
    body = pick(_ISSUE_STYLES, *key, "style").format(
        symptom=symptom,
        detail=detail,
        wish=wish,
        environment=pick(repository.environments, *key, "environment"),
    )
    if "nul" in entry.flags:
        body += '\n\n```c\nut_length("before\x00after", 12);  /* returns 6 */\n```'
    if "long-log" in entry.flags:
        body += f"\n\n```text\n{_long_log()}\n```"
    return body


def report_for(repository: Repository, entry: Entry, title: str) -> Entry:
    """The issue that a pull request's entry answers, in the words of somebody who only sees the symptom."""
    key = (repository.id, title)
    detail, wish = pick(_REPORT_DETAILS, *key), pick(_REPORT_WISHES, *key)
    return Entry(title, "bug", entry.area, (entry.lines[0], detail, wish))


def fix_for(repository: Repository, entry: Entry, title: str) -> Entry:
    """The pull request that answers an issue's entry."""
    kind = entry.type if entry.type in ("feature", "docs") else "bug"
    symptom, detail, _, remedy = entry.lines[:4]
    check = pick(_FIX_CHECKS, repository.id, title)
    return Entry(title, kind, entry.area, (symptom, detail, remedy, check))


def bump_entry(repository: Repository, bump: Bump) -> Entry:
    """The updater bot's pull request for one dependency."""
    prefix = "build(deps): bump" if repository.catalogue in _CONVENTIONAL else "Bump"
    title = f"{prefix} {bump.package} from {bump.old} to {bump.new}"
    lines = (
        f"Bumps `{bump.package}` from {bump.old} to {bump.new}.",
        bump.note,
        f"The lock file of {repository.name} is updated, nothing else.",
        f"`{repository.test_command}` passes with the new version.",
    )
    return Entry(title, "dependencies", "dependencies", lines)


def bump_body(entry: Entry) -> str:
    """The body of an updater bot's pull request."""
    what, note, scope, check = entry.lines
    return (
        f"{what}\n\n<details>\n<summary>Release notes</summary>\n\n{note}\n\n</details>\n\n"
        f"{scope} {check}\n\n<!-- This text is written by a program; say `@depwatch rebase` to run it again. -->"
    )


def coverage_comment(*key: object) -> str:
    """What the coverage bot says below a pull request."""
    share, change = 80 + draw(180, *key, "share") / 10, draw(19, *key, "change") - 9
    return f"### Coverage\n\n| total | change |\n| --- | --- |\n| {share:.1f}% | {change / 10:+.1f}% |"


def issue_comment(repository: Repository, entry: Entry, *key: object) -> str:
    """A comment below an issue."""
    return _fill(_ISSUE_COMMENTS, repository, entry, *key)


def pull_request_comment(repository: Repository, entry: Entry, *key: object) -> str:
    """A comment below a pull request."""
    return _fill(_PULL_COMMENTS, repository, entry, *key)


def review(repository: Repository, entry: Entry, *key: object) -> tuple[str, str | None]:
    """State and body of a review; like on GitHub a body may be missing."""
    state, text = pick(_REVIEWS, *key)
    return state, text.format(area=entry.area, path=path_of(repository, entry)) or None


def review_comment(repository: Repository, entry: Entry, *key: object) -> tuple[str, str, int]:
    """Body, diff hunk and line of a review comment."""
    line = 3 + draw(240, *key, "line")
    return _fill(_REVIEW_COMMENTS, repository, entry, *key), _HUNK.format(line=line), line + 2


def _fill(options: Sequence[str], repository: Repository, entry: Entry, *key: object) -> str:
    environment = pick(repository.environments, *key, "environment")
    return pick(options, *key).format(area=entry.area, path=path_of(repository, entry), environment=environment)


def _long_log() -> str:
    steps = (
        "restored cache",
        "compiling module",
        "running suite",
        "uploading report",
        "waiting for child process",
    )
    lines: list[str] = []
    size = 0
    while size < 60_000:
        second = len(lines) * 7
        clock = f"{8 + second // 3600 % 12:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        pid, step = 4000 + draw(900, "log", len(lines)), steps[min(len(lines) // 180, 4)]
        lines.append(f"{clock} [worker-{len(lines) % 8}] {step} #{len(lines):04d} pid={pid} elapsed={second}s")
        size += len(lines[-1]) + 1
    return "\n".join(lines)

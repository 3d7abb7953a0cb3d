"""What a source says of an hour file beside it: a manifest with the number of events and the SHA-256.

Mirrors do not agree on the names of the two fields, so the usual ones are accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson

from resources.errors import ManifestInvalid, ManifestMismatch

_DIGESTS = ("sha256", "SHA256", "sha-256", "digest")
_COUNTS = ("count", "events", "event_count", "lines", "line_count")
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)
_ADVICE = (
    "Nothing of it was stored. Materialize the hour again; if it stays so, the source is damaged: tell its operator,"
    " or name another one in GH_ARCHIVE_URL."
)


@dataclass(frozen=True)
class Manifest:
    """What the manifest at `url` promises of one file: sha256 in lower-case hex, events; None: it does not say."""

    url: str
    sha256: str | None
    events: int | None

    @property
    def complete(self) -> bool:
        """Whether it names both."""
        return self.sha256 is not None and self.events is not None

    def check_digest(self, url: str, sha256: str, size: int) -> None:
        """Compare with the digest of the file that came from `url`.

        Raises:
            ManifestMismatch: it is another.
        """
        if self.sha256 not in (None, sha256):
            raise ManifestMismatch(
                f"{url} has SHA-256 {sha256} ({size:,} bytes), but {self.url} says {self.sha256}. {_ADVICE}"
            )

    def check_events(self, url: str, events: int) -> None:
        """Compare with the number of lines that the file from `url` holds, blank ones left out.

        Raises:
            ManifestMismatch: it is another.
        """
        if self.events not in (None, events):
            raise ManifestMismatch(f"{url} holds {events:,} events, but {self.url} says {self.events:,}. {_ADVICE}")


def parse_manifest(url: str, content: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        ManifestInvalid: not a JSON object with a SHA-256 or a count in it.
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _invalid(url, f"no JSON ({error})") from error
    if not isinstance(value, dict):
        raise _invalid(url, f"JSON, but {type(value).__name__} in place of an object")
    digest = next((value[name] for name in _DIGESTS if name in value), None)
    count = next((value[name] for name in _COUNTS if name in value), None)
    if digest is None and count is None:
        raise _invalid(url, f"the fields {', '.join(sorted(value)) or 'of nothing'}")
    match = _SHA256.fullmatch(digest) if isinstance(digest, str) else None
    if digest is not None and match is None:
        raise _invalid(url, f"the digest {digest!r}")
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
        raise _invalid(url, f"the count {count!r}")
    return Manifest(url, match[1].lower() if match else None, count)


def _invalid(url: str, found: str) -> ManifestInvalid:
    return ManifestInvalid(
        f"{url} is no manifest: expected a JSON object with a SHA-256 in hex ({', '.join(_DIGESTS)}), a number of"
        f" events ({', '.join(_COUNTS)}), or both; found {found[:200]}. Its hour was not stored, because it cannot be"
        " verified: mend or remove the manifest, or name another source in GH_ARCHIVE_URL."
    )

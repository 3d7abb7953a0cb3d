"""GitHub's global node ids: a prefix for the type, then the ids as base64url of a MessagePack array.

"R_kgDOHrjs2A" is [0, 515435736]; an item of a repository is [0, repository id, its own id].
"""

from __future__ import annotations

import base64
import binascii
import struct

PREFIXES = {
    "Bot": "BOT",
    "Issue": "I",
    "IssueComment": "IC",
    "Label": "LA",
    "Organization": "O",
    "PullRequest": "PR",
    "PullRequestReview": "PRR",
    "Release": "RE",
    "Repository": "R",
    "User": "U",
}
TYPES = {prefix: name for name, prefix in PREFIXES.items()}


def node_id(type_name: str, *ids: int) -> str:
    """The global id of the object of a type with these database ids, outermost first."""
    packed = bytes([0x91 + len(ids), 0]) + b"".join(_integer(number) for number in ids)
    return f"{PREFIXES[type_name]}_{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def read_node_id(text: str) -> tuple[str, tuple[int, ...]] | None:
    """The type's name and the database ids, or None where `text` is no global id."""
    prefix, _, encoded = text.partition("_")
    try:
        packed = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except binascii.Error:
        return None
    ids, rest = [], packed[2:]
    while rest[:1] in (b"\xce", b"\xcf"):
        size = 4 if rest[0] == 0xCE else 8
        ids.append(int.from_bytes(rest[1 : 1 + size]))
        rest = rest[1 + size :]
    return None if prefix not in TYPES or rest or not ids else (TYPES[prefix], tuple(ids))


def _integer(number: int) -> bytes:
    return struct.pack(">BI", 0xCE, number) if number < 2**32 else struct.pack(">BQ", 0xCF, number)

"""Small builders of events in GH Archive's two shapes, and of the hour files that hold them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Object = dict[str, Any]
REPOSITORY = (1001, "acme/rocket")


def at(text: str) -> datetime:
    """A time in UTC: at("2025-03-01 10:30")."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def stamp(time: datetime) -> str:
    """As GitHub writes it."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def event(
    event_id: int,
    kind: str,
    time: str,
    payload: Object,
    *,
    actor: str = "ada",
    repository: tuple[int, str] = REPOSITORY,
) -> Object:
    """One event as it stands in a file."""
    return {
        "id": str(event_id),
        "type": kind,
        "actor": {"id": 7, "login": actor, "url": f"https://api.github.com/users/{actor}"},
        "repo": {"id": repository[0], "name": repository[1]},
        "payload": payload,
        "public": True,
        "created_at": stamp(at(time)),
    }


def user(login: str) -> Object:
    """A user object; a login that ends in [bot] is a Bot."""
    return {"login": login, "id": 7, "type": "Bot" if login.endswith("[bot]") else "User", "site_admin": False}


def item(number: int, title: str, **fields: Any) -> Object:
    """A fat pull request or issue: open, by ada, unless `fields` say otherwise."""
    return {
        "number": number,
        "title": title,
        "body": f"Body of {title}",
        "state": "open",
        "user": user("ada"),
        "created_at": "2025-03-01T08:00:00Z",
        "closed_at": None,
    } | fields


def labels(*names: str) -> list[Object]:
    """Label objects as in a payload."""
    return [{"id": 1, "name": name, "color": "ff0000"} for name in names]


def slim(number: int) -> Object:
    """A pull request as events carry it since 2025-10-07."""
    side = {"ref": "main", "sha": "0" * 40, "repo": {"id": 1001, "name": "rocket"}}
    return {"url": "https://api.github.com/x", "id": number, "number": number, "head": side, "base": side}


def comment(comment_id: int, body: str, login: str = "bob", **fields: Any) -> Object:
    """A comment object."""
    return {"id": comment_id, "body": body, "user": user(login), "created_at": "2025-03-01T09:00:00Z"} | fields


def line(one: Object) -> bytes:
    """The event's line in a file, without its newline."""
    return json.dumps(one, ensure_ascii=False).encode()


def write_hour(folder: Path, hour: datetime, lines: Iterable[bytes | Object], *, compress: bool = True) -> Path:
    """Write the hour file of `hour` and return its path."""
    raw = b"".join((one if isinstance(one, bytes) else line(one)) + b"\n" for one in lines)
    path = folder / f"{hour:%Y-%m-%d}-{hour.hour}.json{'.gz' if compress else ''}"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw, mtime=0) if compress else raw)
    return path

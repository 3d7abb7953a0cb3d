"""Threads: questions and their answers in order, kept for whoever asked. Every statement names the owner.

A question and its answer are one row, which goes with the stored answer: what is forgotten there is gone here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from answering.answer import COLUMNS, Answer, answer_of
from resources.postgres import Connection, Database

Rating = Literal["up", "down"]
TITLE = 80
"""Characters of a title that is taken from a question."""


class Owner(NamedTuple):
    """To whom threads belong. id: empty: to nobody, who has none."""

    kind: Literal["key", "proxy", "browser"]
    id: str


@dataclass(frozen=True)
class Thread:
    """A thread. share_id: with which anybody may read it; None: nobody else may."""

    thread_id: UUID
    title: str | None
    created_at: datetime
    updated_at: datetime
    share_id: str | None


@dataclass(frozen=True)
class Turn:
    """A question with its answer: two messages. message_id: the answer's. note: what was said about how it was made."""

    message_id: UUID
    question_id: UUID
    question: str
    asked_at: datetime
    answered_at: datetime
    answer: Answer
    note: str | None = None
    rating: Rating | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Conversation:
    """A thread with what was said in it, oldest first."""

    thread: Thread
    turns: Sequence[Turn] = field(default=())


_TITLE = f"""coalesce(t.title, (
    SELECT CASE WHEN length(question) > {TITLE} THEN rtrim(left(question, {TITLE - 1})) || '…' ELSE question END
    FROM turns WHERE turns.thread_id = t.thread_id ORDER BY number LIMIT 1))"""
_THREAD = f"t.thread_id, {_TITLE}, t.created_at, t.updated_at, t.share_id"
_MINE = "t.owner_kind = %(kind)s AND t.owner = %(owner)s"


class Threads:
    """Threads in the service's own schema. A thread of somebody else is as one that does not exist: None, or False."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database

    def create(self, owner: Owner, title: str | None = None) -> Thread:
        """A new thread. title: None: its first question is."""
        rows = self._database().fetch_all(
            "INSERT INTO threads AS t (owner_kind, owner, title) VALUES (%(kind)s, %(owner)s, %(title)s)"
            f" RETURNING {_THREAD}",
            _of(owner, title=title),
        )
        return Thread(*rows[0])

    def page(self, owner: Owner, limit: int, before: UUID | None = None) -> list[Thread]:
        """The owner's threads, newest first. before: the last one of the page before this one."""
        rows = self._database().fetch_all(
            f"SELECT {_THREAD} FROM threads t WHERE {_MINE} AND (%(before)s::uuid IS NULL"
            " OR (t.updated_at, t.thread_id) < (SELECT b.updated_at, b.thread_id FROM threads b"
            " WHERE b.thread_id = %(before)s AND b.owner_kind = %(kind)s AND b.owner = %(owner)s))"
            " ORDER BY t.updated_at DESC, t.thread_id DESC LIMIT %(limit)s",
            _of(owner, before=before, limit=limit),
        )
        return [Thread(*row) for row in rows]

    def read(self, owner: Owner, thread_id: UUID) -> Conversation | None:
        """A thread with all of its turns."""
        return self._read(f"t.thread_id = %(thread)s AND {_MINE}", _of(owner, thread=thread_id))

    def shared(self, share_id: str) -> Conversation | None:
        """The thread that was shared under this id, whoever asks."""
        return self._read("t.share_id = %(share)s", {"share": share_id})

    def shares(self, share_id: str, answer_id: UUID) -> bool:
        """Whether the thread that was shared under this id has the answer."""
        found = self._database().fetch_value(
            "SELECT EXISTS (SELECT FROM threads t JOIN turns USING (thread_id)"
            " WHERE t.share_id = %(share)s AND turns.answer_id = %(answer)s)",
            {"share": share_id, "answer": answer_id},
        )
        return bool(found)

    def rename(self, owner: Owner, thread_id: UUID, title: str) -> Thread | None:
        """The thread under another title."""
        rows = self._database().fetch_all(
            f"UPDATE threads t SET title = %(title)s WHERE t.thread_id = %(thread)s AND {_MINE} RETURNING {_THREAD}",
            _of(owner, thread=thread_id, title=title),
        )
        return Thread(*rows[0]) if rows else None

    def delete(self, owner: Owner, thread_id: UUID) -> bool:
        """The thread is gone, and with it its messages, what was thought of them, and its link."""
        return self._touch(owner, thread_id, "DELETE FROM threads t")

    def share(self, owner: Owner, thread_id: UUID) -> str | None:
        """The id under which anybody may read the thread from now on; the same one when asked again."""
        rows = self._database().fetch_all(
            "UPDATE threads t SET share_id = coalesce(t.share_id, %(share)s)"
            f" WHERE t.thread_id = %(thread)s AND {_MINE} RETURNING t.share_id",
            _of(owner, thread=thread_id, share=secrets.token_urlsafe(24)),
        )
        return str(rows[0][0]) if rows else None

    def unshare(self, owner: Owner, thread_id: UUID) -> bool:
        """Nobody else may read it any more; a later link is another one."""
        return self._touch(owner, thread_id, "UPDATE threads t SET share_id = NULL")

    def rate(self, owner: Owner, message_id: UUID, rating: Rating | None, reason: str | None) -> bool:
        """What the owner thinks of an answer; rating None takes it back."""
        changed = self._database().execute(
            "UPDATE turns SET rating = %(rating)s, reason = %(reason)s FROM threads t"
            f" WHERE turns.message_id = %(message)s AND t.thread_id = turns.thread_id AND {_MINE}",
            _of(owner, message=message_id, rating=rating, reason=reason if rating else None),
        )
        return changed > 0

    def add(
        self, owner: Owner, thread_id: UUID, question: str, asked_at: datetime, answer_id: str, *, cached: bool,
        note: str | None = None,
    ) -> UUID | None:  # fmt: skip
        """Add a question with its answer; returns the answer's message. None: the thread was deleted meanwhile."""
        with self._database().transaction() as connection:
            # Locks the thread, so that what is said at the same time keeps an order.
            found = connection.execute(
                f"UPDATE threads t SET updated_at = clock_timestamp() WHERE t.thread_id = %(thread)s AND {_MINE}",
                _of(owner, thread=thread_id),
            ).rowcount
            if not found:
                return None
            row = connection.execute(
                "INSERT INTO turns (thread_id, question, asked_at, answer_id, cached, note)"
                " VALUES (%s, %s, %s, %s, %s, %s) RETURNING message_id",
                [thread_id, question, asked_at, answer_id, cached, note],
            ).fetchone()
        assert row is not None
        return UUID(str(row[0]))

    def questions(self, owner: Owner, thread_id: UUID, limit: int) -> list[str] | None:
        """The thread's newest questions, oldest of them first."""
        with self._database().transaction() as connection:
            found = connection.execute(
                f"SELECT FROM threads t WHERE t.thread_id = %(thread)s AND {_MINE}", _of(owner, thread=thread_id)
            ).fetchone()
            if found is None:
                return None
            rows = connection.execute(
                "SELECT question FROM turns WHERE thread_id = %s ORDER BY number DESC LIMIT %s", [thread_id, limit]
            ).fetchall()
        return [str(question) for (question,) in reversed(rows)]

    def _read(self, condition: str, parameters: dict[str, Any]) -> Conversation | None:
        with self._database().transaction() as connection:
            row = connection.execute(f"SELECT {_THREAD} FROM threads t WHERE {condition}", parameters).fetchone()
            if row is None:
                return None
            thread = Thread(*row)
            return Conversation(thread, _turns(connection, thread.thread_id))

    def _touch(self, owner: Owner, thread_id: UUID, statement: str) -> bool:
        changed = self._database().execute(
            f"{statement} WHERE t.thread_id = %(thread)s AND {_MINE}", _of(owner, thread=thread_id)
        )
        return changed > 0


def _of(owner: Owner, **others: Any) -> dict[str, Any]:
    return {"kind": owner.kind, "owner": owner.id, **others}


def _turns(connection: Connection, thread_id: UUID) -> list[Turn]:
    rows = connection.execute(
        "SELECT message_id, question_id, t.question, asked_at, answered_at, note, rating, reason, cached,"
        f" {COLUMNS} FROM turns t JOIN answers a USING (answer_id) WHERE thread_id = %s ORDER BY number",
        [thread_id],
    ).fetchall()
    turns = []
    for message, asked, question, asked_at, answered_at, note, rating, reason, cached, *stored in rows:
        answer = answer_of(stored, cached=cached)
        turns.append(Turn(message, asked, question, asked_at, answered_at, answer, note, rating, reason))
    return turns

"""/v1/threads, /v1/messages and /v1/shared: what was asked, kept for whoever asked, and shown to whom they let."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator, BaseModel, Field

from answering.http.access import caller_of
from answering.http.callers import Caller, new_browser
from answering.http.problems import Refused
from answering.threads import Rating, Thread, Threads, Turn

REASON = 2_000
"""Longest reason, in characters."""
_PAGE = 50

T = TypeVar("T")

Plain = AfterValidator(lambda text: text.replace("\0", ""))
Title = Annotated[str, Field(min_length=1, max_length=200), Plain]
Asking = Annotated[Caller, Depends(caller_of)]


class TitleBody(BaseModel):
    """What a thread is called from now on."""

    title: Title


class NewThread(BaseModel):
    """A thread's title; none: its first question is."""

    title: Title | None = None


class FeedbackBody(BaseModel):
    """What is thought of an answer, and why; rating null takes it back."""

    rating: Rating | None
    reason: Annotated[str, Field(max_length=REASON), Plain] | None = None


class ThreadOut(BaseModel):
    """A thread. title: null before its first question. share_id: under which it can be read by anybody."""

    thread_id: UUID
    title: str | None
    created_at: datetime
    updated_at: datetime
    share_id: str | None


class ThreadPage(BaseModel):
    """Threads, newest first."""

    threads: list[ThreadOut]


class Message(BaseModel):
    """A question, or an answer. answer: what POST /v1/ask gave."""

    message_id: UUID
    role: Literal["user", "assistant"]
    text: str
    created_at: datetime
    answer: dict[str, Any] | None


class Feedback(BaseModel):
    """What the owner thinks of an answer."""

    rating: Rating | None
    reason: str | None


class OwnMessage(Message):
    """A message as its owner sees it."""

    feedback: Feedback | None


class ThreadWithMessages(ThreadOut):
    """A thread and what was said in it, oldest first."""

    messages: list[OwnMessage]


class Share(BaseModel):
    """Where anybody may read a thread. path: of the page."""

    share_id: str
    path: str


class SharedThread(BaseModel):
    """A thread as those see it to whom it was shown: not whose it is, nor what they thought of the answers."""

    share_id: str
    title: str | None
    created_at: datetime
    updated_at: datetime
    messages: list[Message]


def thread_routes(threads: Threads) -> APIRouter:
    """The routes over threads, to be included in the service."""
    router = APIRouter(prefix="/v1")

    @router.post("/threads", status_code=201, summary="A new thread. Without a key it belongs to the browser's cookie.")
    def create(request: Request, response: Response, caller: Asking, body: NewThread | None = None) -> ThreadOut:
        owner = caller.owner if caller.id else new_browser(request, response)
        return _out(threads.create(owner, body.title if body else None))

    @router.get("/threads", summary="One's threads, newest first. before: the last thread of the page before.")
    def page(
        caller: Asking, limit: Annotated[int, Query(ge=1, le=200)] = _PAGE, before: UUID | None = None
    ) -> ThreadPage:
        return ThreadPage(threads=[_out(thread) for thread in threads.page(caller.owner, limit, before)])

    @router.get("/threads/{thread_id}", summary="A thread with its messages, oldest first.")
    def read(thread_id: UUID, caller: Asking) -> ThreadWithMessages:
        found = _found(threads.read(caller.owner, thread_id), thread_id)
        messages = [
            OwnMessage(**one, feedback=told) for turn in found.turns for one, told in _messages(turn, thread_id)
        ]
        return ThreadWithMessages(**vars(found.thread), messages=messages)

    @router.patch("/threads/{thread_id}", summary="Rename a thread.")
    def rename(thread_id: UUID, body: TitleBody, caller: Asking) -> ThreadOut:
        return _out(_found(threads.rename(caller.owner, thread_id, body.title), thread_id))

    @router.delete("/threads/{thread_id}", status_code=204, summary="Delete a thread, its messages and its link.")
    def delete(thread_id: UUID, caller: Asking) -> None:
        _found(threads.delete(caller.owner, thread_id), thread_id)

    @router.post("/threads/{thread_id}/share", summary="Let anybody read a thread who has its link.")
    def share(thread_id: UUID, caller: Asking) -> Share:
        share_id = _found(threads.share(caller.owner, thread_id), thread_id)
        return Share(share_id=share_id, path=f"/s/{share_id}")

    @router.delete("/threads/{thread_id}/share", status_code=204, summary="Take the link back: it leads nowhere then.")
    def unshare(thread_id: UUID, caller: Asking) -> None:
        _found(threads.unshare(caller.owner, thread_id), thread_id)

    @router.get("/shared/{share_id}", summary="A thread that was shared, for reading; it needs no key.")
    def shared(share_id: str) -> SharedThread:
        found = threads.shared(share_id)
        if found is None:
            raise Refused(404, "Nothing is shared under this link (any more).")
        thread, messages = found.thread, [Message(**one) for turn in found.turns for one, _ in _messages(turn, None)]
        return SharedThread(
            share_id=share_id, title=thread.title, created_at=thread.created_at, updated_at=thread.updated_at,
            messages=messages,
        )  # fmt: skip

    @router.post(
        "/messages/{message_id}/feedback", summary="Say what an answer was worth, and why; null takes it back."
    )
    def rate(message_id: UUID, body: FeedbackBody, caller: Asking) -> Feedback:
        if not threads.rate(caller.owner, message_id, body.rating, body.reason):
            raise Refused(404, f"There is no answer {message_id} in your threads: give the message_id of an answer.")
        return Feedback(rating=body.rating, reason=body.reason if body.rating else None)

    return router


def no_thread(thread_id: UUID) -> Refused:
    """The same for a thread of somebody else as for none."""
    return Refused(404, f"There is no thread {thread_id} of yours: GET /v1/threads lists them, POST makes one.")


def _found(found: T | None, thread_id: UUID) -> T:
    if found is None or found is False:
        raise no_thread(thread_id)
    return found


def _out(thread: Thread) -> ThreadOut:
    return ThreadOut(**vars(thread))


def _messages(turn: Turn, thread_id: UUID | None) -> list[tuple[dict[str, Any], Feedback | None]]:
    """The two messages of a turn, and what is thought of each. thread_id: None: it is not told."""
    rated = Feedback(rating=turn.rating, reason=turn.reason) if turn.rating else None
    answer = turn.answer.as_json() | {"note": turn.note}
    if thread_id is not None:
        answer |= {"thread_id": str(thread_id), "message_id": str(turn.message_id)}
    asked = {"message_id": turn.question_id, "role": "user", "text": turn.question, "created_at": turn.asked_at,
             "answer": None}  # fmt: skip
    told = {"message_id": turn.message_id, "role": "assistant", "text": turn.answer.answer,
            "created_at": turn.answered_at, "answer": answer}  # fmt: skip
    return [(asked, None), (told, rated)]

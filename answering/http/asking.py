"""A question of somebody: within what they may spend, in the thread that they name, and kept there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from starlette.requests import Request

from answering.agents.budget import Allowance
from answering.ask import Answerer
from answering.deltas import Delta, Listener
from answering.follow_up import TURNS
from answering.http.access import caller_of
from answering.http.callers import Caller
from answering.http.meter import Meter
from answering.http.metrics import Metrics
from answering.http.streams import Asked
from answering.http.threads import no_thread
from answering.retrieval import Scope
from answering.threads import Threads
from resources.errors import ResourceError

logger = logging.getLogger(__name__)

_SPENT = "Today's LLM tokens are used up: this answer is composed by rule. They come back at midnight UTC."


class Asking:
    """Asks on behalf of callers. answerer: gives the one that is loaded, or raises."""

    def __init__(self, answerer: Callable[[], Answerer], meter: Meter, threads: Threads, metrics: Metrics) -> None:
        self._answerer, self._meter, self._threads, self._metrics = answerer, meter, threads, metrics

    def prepare(self, request: Request | None, text: str, scope: Scope, history: Sequence[str] = ()) -> Asked:
        """The same for a request, outside of any thread. Raises as `question` does."""
        assert request is not None, "a question over HTTP comes with its request"
        return self.question(caller_of(request), text, scope, history=history)

    def question(
        self, caller: Caller, text: str, scope: Scope, thread_id: UUID | None = None, *, history: Sequence[str] = ()
    ) -> Asked:
        """A question that may be asked; calling it with a listener answers it, stores both messages, and tells as
        `done` the answer's JSON with `note`, `thread_id` and `message_id`, null where there is none.

        history: what was asked before it, where no thread knows.

        Raises:
            Refused: 404, it is not the caller's thread; 403, the caller may have none.
            AnsweringError: there is nothing to answer from yet.
        """
        answerer = self._answerer()
        answerer.release()  # without one a stream would begin only to fail
        if thread_id is not None:
            caller.require("threads")
            found = self._threads.questions(caller.owner, thread_id, TURNS)
            if found is None:
                raise no_thread(thread_id)
            history = found
        allowance = Allowance(spent=not self._meter.has_tokens(caller))
        asked_at = datetime.now(UTC)

        def ask(listener: Listener) -> None:
            done: dict[str, Any] = {}
            begun = time.monotonic()

            def tell(delta: Delta) -> None:
                if delta.event == "done":
                    note = _SPENT if allowance.refused else None
                    message = self._kept(caller, thread_id, text, asked_at, delta.data, note)
                    ids = {
                        "thread_id": thread_id and message and str(thread_id),
                        "message_id": message and str(message),
                    }
                    done.update(delta.data, note=note, **ids)
                    delta = Delta("done", done)
                listener.tell(delta)

            try:
                answerer.ask(text, scope, Listener(tell, listener.left), history=history, allowance=allowance)
            finally:
                gone = listener.left is not None and listener.left.is_set()
                self._metrics.answer(done, allowance.usage, time.monotonic() - begun, left=gone)
                self._charge(caller, allowance.used)

        return Asked(ask, allowance)

    def _kept(
        self, caller: Caller, thread_id: UUID | None, text: str, asked_at: datetime, answer: dict[str, Any],
        note: str | None,
    ) -> UUID | None:  # fmt: skip
        """The message of an answer in its thread; None where it has none, or was deleted meanwhile."""
        if thread_id is None:
            return None
        question = text.replace("\0", "").strip()
        return self._threads.add(
            caller.owner, thread_id, question, asked_at, answer["answer_id"], cached=answer["cached"], note=note
        )

    def _charge(self, caller: Caller, tokens: int) -> None:
        """An answer that was made is given out, also when it cannot be counted."""
        try:
            self._meter.spend(caller, tokens)
        except (psycopg.Error, ResourceError) as error:
            logger.exception("tokens were not counted", extra={"tokens": tokens}, exc_info=error)

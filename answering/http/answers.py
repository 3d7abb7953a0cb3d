"""GET /v1/answers/{id}/lineage: from each citation of a stored answer back to what it was made of."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote
from uuid import UUID

import psycopg
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse

from answering.answer import Answers
from answering.http.bodies import LineageReply
from answering.lineage import steps
from resources.errors import DatabaseUnavailable
from resources.postgres import Database, Role, open_database
from resources.settings import Settings


class StoredAnswers:
    """Answers as they were stored, read as the service role. The database is opened with the first request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database | None = None
        self._lock = threading.Lock()

    def lineage(self, answer_id: UUID) -> dict[str, Any] | None:
        """The answer's citations with their steps; None where no such answer is stored.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be asked.
        """
        try:
            found = Answers(self._open()).stored(answer_id)
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable("PostgreSQL does not answer at the moment: ask again in a moment.") from error
        if found is None:
            return None
        told, traced = found
        return told | {
            "citations": [{**one, "steps": self._steps(traced.get(str(one["n"]), {}))} for one in told["citations"]]
        }

    def _steps(self, traced: dict[str, Any]) -> list[dict[str, Any]]:
        """The steps; where DAGSTER_UI_URL is set, each that has a run links it."""
        base = self._settings.dagster_ui_url
        made = steps(traced)
        if base is None:
            return made
        return [
            {**one, "run_url": f"{base.rstrip('/')}/runs/{quote(one['run'], safe='')}"} if one.get("run") else one
            for one in made
        ]

    def _open(self) -> Database:
        with self._lock:
            if self._database is None:
                self._database = open_database(self._settings, Role.SERVICE, max_size=2)
            return self._database

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None


def answer_routes(settings: Settings) -> APIRouter:
    """The routes over stored answers, to be included in the service."""
    answers = StoredAnswers(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(answers.close)

    router = APIRouter(prefix="/v1/answers", lifespan=lifespan)

    @router.get("/{answer_id}/lineage", summary="Where each citation of an answer comes from, step by step, with runs.",
                responses={200: {"model": LineageReply}})  # fmt: skip
    def lineage(answer_id: UUID) -> JSONResponse:
        found = answers.lineage(answer_id)
        if found is None:
            message = f"No answer {answer_id} is stored: give the answer_id that POST /v1/ask or `ask --json` gave."
            return JSONResponse({"error": {"message": message}}, status_code=404)
        return JSONResponse(found)

    return router

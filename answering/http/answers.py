"""GET /v1/answers/{id}/lineage: from each citation of a stored answer back to what it was made of.

It is readable to whoever may use the service. The id of an answer has 122 random bits: nobody finds one that they were
not given, and with it they read the question and public sources, not whose it was.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import psycopg
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from answering.answer import Answers
from answering.http.bodies import LineageReply
from answering.http.problems import Refused
from answering.http.service_database import ServiceDatabase
from answering.lineage import steps
from resources.errors import DatabaseUnavailable
from resources.settings import Settings


class StoredAnswers:
    """Answers as they were stored, read as the service role."""

    def __init__(self, settings: Settings, database: ServiceDatabase) -> None:
        self._settings, self._database = settings, database

    def lineage(self, answer_id: UUID) -> dict[str, Any] | None:
        """The answer's citations with their steps; None where no such answer is stored.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be asked.
        """
        try:
            found = Answers(self._database()).stored(answer_id)
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


def answer_routes(settings: Settings, database: ServiceDatabase) -> APIRouter:
    """The routes over stored answers, to be included in the service."""
    answers = StoredAnswers(settings, database)
    router = APIRouter(prefix="/v1/answers")

    @router.get("/{answer_id}/lineage", summary="Where each citation of an answer comes from, step by step, with runs.",
                responses={200: {"model": LineageReply}})  # fmt: skip
    def lineage(answer_id: UUID) -> JSONResponse:
        found = answers.lineage(answer_id)
        if found is None:
            raise Refused(
                404, f"No answer {answer_id} is stored: give the answer_id that POST /v1/ask or `ask --json` gave."
            )
        return JSONResponse(found)

    return router

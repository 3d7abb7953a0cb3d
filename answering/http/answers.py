"""GET /v1/answers/{id}/lineage: from each citation of a stored answer back to what it was made of.

It is readable to whoever may use the service. The id of an answer has 122 random bits: nobody finds one that they were
not given, and with it they read the question and public sources, not whose it was. Who was given the link of a shared
thread reads it of the answers in there, and of no other: GET /v1/shared/{id}/answers/{id}/lineage lets anybody in.
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
from answering.threads import Threads
from resources.errors import DatabaseUnavailable
from resources.settings import Settings


class StoredAnswers:
    """Answers as they were stored, read as the service role."""

    def __init__(self, settings: Settings, database: ServiceDatabase) -> None:
        self._settings, self._database = settings, database

    def lineage(self, answer_id: UUID, *, links_runs: bool = True) -> dict[str, Any] | None:
        """The answer's citations with their steps; None where no such answer is stored.

        links_runs: where DAGSTER_UI_URL is set, each step that has a run links it.

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
            "citations": [
                {**one, "steps": self._steps(traced.get(str(one["n"]), {}), links_runs)} for one in told["citations"]
            ]
        }

    def _steps(self, traced: dict[str, Any], links_runs: bool) -> list[dict[str, Any]]:
        base = self._settings.dagster_ui_url if links_runs else None
        made = steps(traced)
        if base is None:
            return made
        return [
            {**one, "run_url": f"{base.rstrip('/')}/runs/{quote(one['run'], safe='')}"} if one.get("run") else one
            for one in made
        ]


def answer_routes(settings: Settings, database: ServiceDatabase, threads: Threads) -> APIRouter:
    """The routes over stored answers, to be included in the service."""
    answers = StoredAnswers(settings, database)
    router = APIRouter(prefix="/v1")

    @router.get(
        "/answers/{answer_id}/lineage",
        summary="Where each citation of an answer comes from, step by step, with runs.",
        responses={200: {"model": LineageReply}},
    )
    def lineage(answer_id: UUID) -> JSONResponse:
        found = answers.lineage(answer_id)
        if found is None:
            raise Refused(
                404, f"No answer {answer_id} is stored: give the answer_id that POST /v1/ask or `ask --json` gave."
            )
        return JSONResponse(found)

    @router.get(
        "/shared/{share_id}/answers/{answer_id}/lineage",
        summary="The same of an answer in a shared thread; it needs no key.",
        responses={200: {"model": LineageReply}},
    )
    def shared_lineage(share_id: str, answer_id: UUID) -> JSONResponse:
        found = answers.lineage(answer_id, links_runs=False) if threads.shares(share_id, answer_id) else None
        if found is None:
            raise Refused(404, "No such answer is shared under this link (any more).")
        return JSONResponse(found)

    return router

"""Routes: health, search, ask. The active release is held, and switched when Postgres says so."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

from answering.ask import Answerer
from answering.errors import AnsweringError, NoActiveRelease
from answering.http.watcher import ReleaseWatcher
from answering.question import LIMIT
from answering.retrieval import Scope
from answering.session import open_answerer
from resources.errors import ResourceError
from resources.kinds import KINDS
from resources.settings import Settings

logger = logging.getLogger(__name__)
_PAGE = Path(__file__).parent.parent / "web" / "index.html"
_CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {"Content-Security-Policy": _CSP, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


class ScopeBody(BaseModel):
    """What may be searched; empty: everything."""

    repos: list[str] = Field(default_factory=list, max_length=100)
    since: date | None = None
    until: date | None = None


class AskBody(BaseModel):
    """A question and its scope."""

    question: str = Field(min_length=1, max_length=LIMIT)
    scope: ScopeBody = Field(default_factory=ScopeBody)


def create_app(settings: Settings) -> FastAPI:  # noqa: C901 - one small function a route
    """The service for these settings. The model loads in the background; /readyz says when it is there."""
    state: dict[str, Any] = {"answerer": None, "error": None}
    stop = threading.Event()

    def serve_answerer() -> None:
        try:
            with open_answerer(settings) as answerer:
                answerer.warm()
                state["answerer"] = answerer
                ReleaseWatcher(settings, answerer).run(stop)
        except (ResourceError, AnsweringError) as error:
            state["error"] = str(error)
            logger.exception("the service cannot answer")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        thread = threading.Thread(target=serve_answerer, name="answerer", daemon=True)
        thread.start()
        yield
        stop.set()
        thread.join(timeout=10)

    app = FastAPI(title="StarSearch", summary="Questions about GitHub's history, cited answers.", lifespan=lifespan)

    def answerer() -> Answerer:
        if state["answerer"] is None:
            raise NoActiveRelease(state["error"] or "The service is starting: the embedding model is being loaded.")
        return state["answerer"]  # type: ignore[no-any-return]

    @app.exception_handler(AnsweringError)
    @app.exception_handler(ResourceError)
    def refused(_: Request, error: Exception) -> JSONResponse:
        missing = isinstance(error, (NoActiveRelease, ResourceError))
        return JSONResponse({"error": {"message": str(error)}}, status_code=503 if missing else 400)

    @app.get("/healthz", summary="The process is alive.")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="The model is loaded and the active release, if there is one, is held.")
    def readyz() -> JSONResponse:
        ready = state["answerer"] is not None
        pinned = state["answerer"].pinned if ready else None
        body = {"ready": ready, "release": pinned.release_id if pinned else None, "error": state["error"]}
        return JSONResponse(body, status_code=200 if ready else 503)

    @app.get("/v1/search", summary="The items nearest to a text, best first.")
    def search(
        q: Annotated[str, Query(min_length=1, max_length=LIMIT)],
        kind: Annotated[list[str] | None, Query()] = None,
        k: Annotated[int, Query(ge=1, le=100)] = 10,
        repo: Annotated[list[str] | None, Query()] = None,
        since: date | None = None,
        until: date | None = None,
    ) -> dict[str, Any]:
        kinds = tuple(kind or (one.name for one in KINDS))
        scope = Scope(repos=tuple(repo or ()), since=since, until=until, kinds=kinds)
        release, hits = answerer().search(q, scope, k)
        fields = ("kind", "repo", "ref", "title", "url", "score")
        return {"release": release.release_id, "hits": [{f: asdict(hit)[f] for f in fields} for hit in hits]}

    @app.post("/v1/ask", summary="An answer with citations, or an abstention that says what is covered.")
    def ask(body: AskBody) -> dict[str, Any]:
        scope = Scope(repos=tuple(body.scope.repos), since=body.scope.since, until=body.scope.until)
        return answerer().ask(body.question, scope).as_json()

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(_PAGE, headers=_HEADERS)

    @app.get("/page.css", include_in_schema=False)
    def style() -> FileResponse:
        return FileResponse(_PAGE.with_name("page.css"), headers=_HEADERS, media_type="text/css")

    @app.get("/page.js", include_in_schema=False)
    def script() -> FileResponse:
        return FileResponse(_PAGE.with_name("page.js"), headers=_HEADERS, media_type="text/javascript")

    return app

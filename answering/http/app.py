"""Routes: health, search, ask, webhooks. The active release is held, and switched when Postgres says so."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import psycopg
from fastapi import FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from pydantic import BaseModel, Field

from answering.errors import AnsweringError, ModelMismatch, NoActiveRelease
from answering.http import streams
from answering.http.answers import answer_routes
from answering.http.background import BackgroundAnswerer
from answering.http.bodies import ERRORS, EVENTS, AnswerReply, Readiness, ScopeBody, SearchReply
from answering.http.completions import completion_routes
from answering.http.mcp_route import mcp_routes
from answering.http.mcp_server import create_server
from answering.http.reference import render
from answering.http.webhooks import GitHubWebhook
from answering.question import LIMIT
from answering.retrieval import Mode, Scope
from resources.errors import ResourceError
from resources.kinds import KINDS
from resources.settings import Settings

logger = logging.getLogger(__name__)

_WEB = Path(__file__).parent.parent / "web"
_STATIC = (
    ("/", "index.html", "text/html"),
    ("/page.css", "page.css", "text/css"),
    ("/page.js", "page.js", "text/javascript"),
    ("/docs/reference.css", "reference.css", "text/css"),
    ("/favicon.ico", "favicon.svg", "image/svg+xml"),
)
_CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {"Content-Security-Policy": _CSP, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


class AskBody(BaseModel):
    """A question and its scope."""

    question: str = Field(min_length=1, max_length=LIMIT)
    scope: ScopeBody = Field(default_factory=ScopeBody)


def create_app(settings: Settings) -> FastAPI:
    """The service for these settings. The model loads in the background; /readyz says when it is there."""
    background, webhook = BackgroundAnswerer(settings), GitHubWebhook(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        background.start()
        async with webhook.running():
            yield
        background.stop()

    app = FastAPI(
        title="StarSearch", summary="Questions about GitHub's history, cited answers.", version=version("starsearch"),
        lifespan=lifespan, responses=ERRORS, docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.add_exception_handler(AnsweringError, _refused)
    app.add_exception_handler(ResourceError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(psycopg.OperationalError, _too_slow)
    app.add_exception_handler(psycopg.DataError, _unstorable)

    @app.get("/healthz", summary="The process is alive.")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="The model is loaded and the active release, if there is one, is held.",
             responses={200: {"model": Readiness}, 503: {"model": Readiness}})  # fmt: skip
    def readyz() -> JSONResponse:
        body = background.readiness()
        return JSONResponse(body, status_code=200 if body["ready"] else 503)

    @app.get(
        "/v1/search",
        summary="The items that fit a text best, by meaning and by words, best first.",
        response_model=SearchReply,
    )
    def search(
        q: Annotated[str, Query(min_length=1, max_length=LIMIT)],
        kind: Annotated[list[str] | None, Query()] = None,
        k: Annotated[int, Query(ge=1, le=100)] = 10,
        repo: Annotated[list[str] | None, Query()] = None,
        since: date | None = None,
        until: date | None = None,
        author: Annotated[list[str] | None, Query()] = None,
        state: Annotated[list[str] | None, Query()] = None,
        label: Annotated[list[str] | None, Query()] = None,
        technology: Annotated[list[str] | None, Query()] = None,
        bots: bool | None = None,
        mode: Mode = "hybrid",
    ) -> dict[str, Any]:
        scope = Scope(
            repos=tuple(repo or ()),
            since=since,
            until=until,
            authors=tuple(author or ()),
            kinds=tuple(kind or (one.name for one in KINDS)),
            states=tuple(state or ()),
            labels=tuple(label or ()),
            technologies=tuple(technology or ()),
            bots=bots,
        )
        release, hits = background.answerer.search(q, scope, k, mode)
        return {"release": release.release_id, "hits": [hit.as_json() for hit in hits]}

    @app.post(
        "/v1/ask",
        summary="An answer with citations, or an abstention that says what is covered.",
        description="As JSON; with `Accept: text/event-stream` as server-sent events: status, tool_call, tool_result,"
        " widget, delta (text to add), citations, and in the end `done` (what the JSON has) or `error`.",
        response_model=None,
        responses={200: {"model": AnswerReply, "content": {streams.MEDIA_TYPE: EVENTS}}},
    )
    def ask(body: AskBody, accept: Annotated[str, Header()] = "") -> dict[str, Any] | Response:
        scope, answerer = body.scope.as_scope(), background.answerer
        if streams.MEDIA_TYPE in accept:
            return streams.stream(lambda listener: answerer.ask(body.question, scope, listener))
        return answerer.ask(body.question, scope).as_json()

    webhook.register(app)
    app.include_router(answer_routes(settings))
    prepare, asks_web = streams.answered_by(lambda: background.answerer), settings.web_search_url is not None
    app.include_router(completion_routes(prepare))
    app.include_router(mcp_routes(lambda: create_server(lambda: background.answerer, prepare, asks_web=asks_web)))

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(render(app.openapi()), headers=_HEADERS)

    for path, file, media_type in _STATIC:
        app.get(path, include_in_schema=False)(_static(file, media_type))
    return app


def _static(file: str, media_type: str) -> Callable[[], FileResponse]:
    def send() -> FileResponse:
        return FileResponse(_WEB / file, headers=_HEADERS, media_type=media_type)

    return send


def _refused(_: Request, error: Exception) -> JSONResponse:
    """What a person can do something about is told: 400 for the question, 503 for what the service lacks."""
    missing = isinstance(error, (NoActiveRelease, ModelMismatch, ResourceError))
    return JSONResponse({"error": {"message": str(error)}}, status_code=503 if missing else 400)


def _too_slow(_: Request, error: Exception) -> JSONResponse:
    """PostgreSQL is away, has no connection free, or was stopped at its time limit: the log says which."""
    logger.error("the database did not answer", exc_info=error)
    return JSONResponse({"error": {"message": streams.TOO_SLOW}}, status_code=503)


def _unstorable(_: Request, __: Exception) -> JSONResponse:
    """Text that PostgreSQL has no value for, as U+0000."""
    return JSONResponse(
        {"error": {"message": "The request has text that cannot be looked for: leave U+0000 out."}}, 400
    )


def _invalid(_: Request, error: Exception) -> JSONResponse:
    """A request that does not fit its schema, in the same shape as every other error."""
    assert isinstance(error, RequestValidationError)
    problems = "; ".join(f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors())
    return JSONResponse({"error": {"message": f"The request does not fit: {problems}."}}, status_code=422)

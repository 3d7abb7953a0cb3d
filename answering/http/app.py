"""Routes: health, search, ask, webhooks. The active release is held, and switched when Postgres says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import orjson
import psycopg
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import FastAPI, Header, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.middleware.cors import CORSMiddleware

from answering.http import problems, streams
from answering.http.access import Access, caller_of
from answering.http.answers import answer_routes
from answering.http.asking import Asking
from answering.http.background import BackgroundAnswerer
from answering.http.bodies import EVENTS, AskedReply, Readiness, ScopeBody, SearchReply, Suggestions
from answering.http.callers import Callers
from answering.http.completions import completion_routes
from answering.http.guards import BodyLimit, Load, SameSite
from answering.http.mcp_route import mcp_routes
from answering.http.mcp_server import create_server
from answering.http.meter import Meter
from answering.http.metrics import Counted, Metrics, metrics_routes
from answering.http.reference import render
from answering.http.repositories import repository_routes
from answering.http.request_log import RequestLog
from answering.http.service_database import ServiceDatabase
from answering.http.sessions import session_routes
from answering.http.threads import thread_routes
from answering.http.webhooks import GitHubWebhook
from answering.question import LIMIT
from answering.retrieval import Mode, Scope
from answering.threads import Threads
from resources.errors import ResourceError
from resources.kinds import KINDS
from resources.postgres import Database
from resources.settings import Settings

logger = logging.getLogger(__name__)

_WEB = Path(__file__).parent.parent / "web"
_STATIC = (
    ("/", "index.html", "text/html"),
    ("/s/{share_id}", "index.html", "text/html"),
    ("/page.css", "page.css", "text/css"),
    *((f"/js/{name}.js", f"{name}.js", "text/javascript") for name in ("page", "api", "answer", "widgets", "threads")),
    ("/docs/reference.css", "reference.css", "text/css"),
    ("/favicon.ico", "favicon.svg", "image/svg+xml"),
)
_CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",  # the address of a shared thread is what opens it
}
_SWEEP_SECONDS = 3600.0


class AskBody(BaseModel):
    """A question, its scope, and the thread in which it is asked."""

    question: str = Field(min_length=1, max_length=LIMIT)
    scope: ScopeBody = Field(default_factory=ScopeBody)
    thread_id: UUID | None = None


def create_app(settings: Settings, host: str = "127.0.0.1") -> FastAPI:
    """The service for these settings. The model loads in the background; /readyz says when it is there.

    host: to which it is bound: anonymous use and the names under which it is reached depend on it.

    Raises:
        ConfigurationError: settings that would let strangers in.
    """
    background, webhook, database = BackgroundAnswerer(settings), GitHubWebhook(settings), ServiceDatabase(settings)
    callers, meter, threads = Callers(settings, database, host), Meter(settings, database), Threads(database)
    metrics = Metrics(lambda: background.held, lambda: _pools(background, database))
    asking = Asking(lambda: background.answerer, meter, threads, metrics)
    places = CapacityLimiter(settings.answers_at_once)  # of their own, so that answers keep no other route waiting

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        background.start()
        sweeping = asyncio.create_task(_sweep(meter))
        async with webhook.running():
            yield
        sweeping.cancel()
        background.stop()
        await asyncio.to_thread(database.close)

    app = FastAPI(
        title="StarSearch", summary="Questions about GitHub's history, cited answers.", version=version("starsearch"),
        lifespan=lifespan, responses=problems.RESPONSES, docs_url=None, redoc_url=None,
    )  # fmt: skip
    problems.register(app)
    # The last one added is the first that a request passes.
    app.add_middleware(Load, limit=settings.answers_at_once, metrics=metrics)
    app.add_middleware(Access, callers=callers, meter=meter)
    app.add_middleware(BodyLimit, limit=settings.request_max_bytes)
    if origins := settings.allowed_origins.split():
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(SameSite, host=host, names=settings.allowed_hosts.split(), origins=origins)
    app.add_middleware(RequestLog)
    app.add_middleware(Counted, metrics=metrics)

    @app.get("/healthz", summary="The process is alive.")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="The model is loaded and the active release, if there is one, is held.",
             responses={200: {"model": Readiness}, 503: {"model": Readiness}})  # fmt: skip
    async def readyz() -> JSONResponse:
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

    @app.get("/v1/suggestions", summary="Questions that the active release can answer.")
    def suggested() -> Suggestions:
        return Suggestions(suggestions=background.answerer.suggestions())

    @app.post(
        "/v1/ask",
        summary="An answer with citations, or an abstention that says what is covered.",
        description="As JSON; with `Accept: text/event-stream` as server-sent events: status, tool_call, tool_result,"
        " widget, delta (text to add), citations, and in the end `done` (what the JSON has) or `error`. With a"
        " `thread_id` question and answer are kept in that thread of one's own. When the tokens that a caller has of"
        " the LLM for the day are used up, the answer is composed by rule: its mode is extractive, a status `budget`"
        " and `note` say why.",
        response_model=None,
        responses={200: {"model": AskedReply, "content": {streams.MEDIA_TYPE: EVENTS}}},
    )
    async def ask(
        request: Request,
        body: AskBody,
        accept: Annotated[str, Header()] = "",
    ) -> Response:
        asked = await run_sync(
            asking.question, caller_of(request), body.question, body.scope.as_scope(), body.thread_id, limiter=places
        )
        if streams.MEDIA_TYPE in accept:
            return streams.stream(asked)
        answer = await streams.whole(request, asked)
        if answer is None:
            return Response(status_code=streams.CLIENT_LEFT)
        return Response(orjson.dumps(answer, default=str), media_type="application/json")

    webhook.register(app)
    app.include_router(answer_routes(settings, database, threads))
    app.include_router(repository_routes(lambda: background.answerer))
    app.include_router(session_routes(callers))
    app.include_router(metrics_routes(metrics))
    app.include_router(thread_routes(threads))
    app.include_router(completion_routes(asking.prepare))
    asks_web = settings.web_search_url is not None
    app.include_router(
        mcp_routes(lambda: create_server(lambda: background.answerer, asking.prepare, asks_web=asks_web))
    )

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(render(app.openapi()), headers=_HEADERS)

    for path, file, media_type in _STATIC:
        app.get(path, include_in_schema=False)(_static(file, media_type))
    return app


def _pools(background: BackgroundAnswerer, service: ServiceDatabase) -> dict[str, Database]:
    """The pools that are open."""
    pools = background.held.databases if background.held is not None else {}
    return pools if service.opened is None else {**pools, "service": service.opened}


async def _sweep(meter: Meter) -> None:
    """Tidy up once an hour."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            await asyncio.to_thread(meter.sweep)
        except (psycopg.Error, ResourceError):
            logger.exception("what counts no more was not deleted; it is tried again")


def _static(file: str, media_type: str) -> Callable[[], FileResponse]:
    def send() -> FileResponse:
        return FileResponse(_WEB / file, headers=_HEADERS, media_type=media_type)

    return send

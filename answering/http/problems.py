"""Errors as HTTP tells them: problem+json (RFC 9457), and OpenAI's shape on the routes that are OpenAI's."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from answering.errors import AnsweringError, ModelMismatch, NoActiveRelease
from answering.http import streams
from resources.errors import ResourceError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
"""After so many seconds it may be tried again where something is away."""
UNFORESEEN = "The request could not be answered: the service's log says why, under the request's id."
_OPENAI = ("/v1/chat/completions", "/v1/models")
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Problem(BaseModel):
    """What went wrong, and what to do. request_id: under which the service's log has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str | None = None


RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong and what to do; 429 and 503 say in Retry-After when to try again.",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
}


class Refused(Exception):
    """A request that is refused: status, what to do, and headers."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def rendered(scope: Scope, status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error in the shape that the request's path has."""
    sent = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        sent.setdefault("Retry-After", str(RETRY_SECONDS))
    path = scope["path"]
    if any(path == one or path.startswith(f"{one}/") for one in _OPENAI):
        kind = _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        body = {"error": {"message": detail, "type": kind, "param": None, "code": None}}
        return Response(orjson.dumps(body), status, sent, "application/json")
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        request_id=scope.get("state", {}).get("request_id"),
    )
    return Response(problem.model_dump_json(), status, sent, MEDIA_TYPE)


def register(app: FastAPI) -> None:
    """Have every error of the routes told in this shape."""
    for kind, handler in (
        (Refused, _refused),
        (AnsweringError, _told),
        (ResourceError, _told),
        (psycopg.OperationalError, _too_slow),
        (psycopg.DataError, _unstorable),
        (RequestValidationError, _invalid),
        (HTTPException, _http),
    ):
        app.add_exception_handler(kind, handler)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return rendered(request.scope, error.status, str(error), error.headers)


def _told(request: Request, error: Exception) -> Response:
    """What a person can do something about is told: 400 for the question, 503 for what the service lacks."""
    missing = isinstance(error, (NoActiveRelease, ModelMismatch, ResourceError))
    return rendered(request.scope, 503 if missing else 400, str(error))


def _too_slow(request: Request, error: Exception) -> Response:
    """PostgreSQL is away, has no connection free, or was stopped at its time limit: the log says which."""
    logger.error("the database did not answer", exc_info=error)
    return rendered(request.scope, 503, streams.TOO_SLOW)


def _unstorable(request: Request, _: Exception) -> Response:
    """Text or a number that PostgreSQL has no value for, as U+0000."""
    return rendered(
        request.scope, 400, "The request has a value that cannot be stored or looked for: leave U+0000 out."
    )


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = "; ".join(f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors())
    return rendered(request.scope, 422, f"The request does not fit: {problems}.")


def _http(request: Request, error: Exception) -> Response:
    """Routes that do not exist, methods that they do not have, bodies that cannot be read."""
    assert isinstance(error, HTTPException)
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:
        detail = f"{request.method} is no method of a route here, or there is no such route: see /docs."
    return rendered(request.scope, error.status_code, detail, error.headers)

"""/v1/session: who the service takes one for; a key is exchanged for a cookie that no script can read."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field, SecretStr

from answering.http.access import caller_of
from answering.http.callers import SESSION_COOKIE, Caller, Callers, set_session_cookie

Asking = Annotated[Caller, Depends(caller_of)]


class KeyBody(BaseModel):
    """A key, as `starsearch keys create` printed it."""

    key: SecretStr = Field(min_length=1, max_length=200)


class Session(BaseModel):
    """Who asks, and what they may. name: of the key, or the identity. anonymous_allowed: also without a key."""

    identity: Literal["anonymous", "key", "proxy"]
    name: str
    scopes: list[str]
    anonymous_allowed: bool


def session_routes(callers: Callers) -> APIRouter:
    """The routes over sessions, to be included in the service."""
    router = APIRouter(prefix="/v1/session")

    def told(caller: Caller) -> Session:
        return Session(
            identity=caller.identity, name=caller.name, scopes=sorted(caller.scopes),
            anonymous_allowed=callers.anonymous_allowed,
        )  # fmt: skip

    @router.get("", summary="Who the service takes one for, and what one may use.")
    def read(caller: Asking) -> Session:
        return told(caller)

    @router.post("", summary="Exchange a key for a cookie, good for twelve hours or until the key is revoked.")
    def begin(body: KeyBody, request: Request, response: Response) -> Session:
        caller, token = callers.begin_session(body.key.get_secret_value())
        set_session_cookie(request, response, token)
        return told(caller)

    @router.delete("", status_code=204, summary="End the session that the cookie stands for.")
    def end(request: Request, response: Response) -> None:
        if token := request.cookies.get(SESSION_COOKIE):
            callers.end_session(token)
        response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")

    return router

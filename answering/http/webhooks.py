"""POST /webhooks/github: deliveries that GitHub signed, appended to the inbox and nothing else.

Sources: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries and
https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from answering.http.admission import Admission, admit
from answering.http.bodies import Delivered
from answering.http.inbox_writer import InboxFull, InboxUnavailable, InboxWriter
from answering.http.problems import rendered
from resources.settings import Settings

PATH = "/webhooks/github"

_READ_SECONDS = 10.0  # GitHub gives a delivery up after as long
_MEMORY = 128 * 1024 * 1024  # bytes of all bodies that are read or wait
_RETRY_SECONDS = 10
_NOBODY = "-"  # the event of a request that nobody signed: its headers prove nothing
_SIGNATURE = re.compile(r"sha256=([0-9a-fA-F]{64})")
_EVENT = re.compile(r"[a-z_]{1,64}")
_DELIVERY = re.compile(r"[A-Za-z0-9-]{1,64}")
_DELIVERY_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}
_INLINE = 1024 * 1024  # bytes up to which a body is looked at on the event loop


class _Refused(Exception):
    """A request that ends before anything is known of its content."""

    def __init__(self, status: int, outcome: str, message: str) -> None:
        super().__init__(message)
        self.status, self.outcome = status, outcome


class GitHubWebhook:
    """Receives deliveries. It needs the database only, not the model nor a release."""

    def __init__(self, settings: Settings) -> None:
        secret = settings.github_webhook_secret
        self._secrets = [] if secret is None else [one.encode() for one in secret.get_secret_value().split()]
        self._settings = settings
        self._limit = settings.webhook_max_bytes
        self._memory = max(_MEMORY, 2 * self._limit)
        self._held = 0
        self._writer: InboxWriter | None = None

    def register(self, app: FastAPI) -> None:
        """Add the route."""
        summary = "Deliveries of a GitHub webhook, signed with GITHUB_WEBHOOK_SECRET."
        app.post(
            PATH, summary=summary, status_code=202, response_model=None, openapi_extra=_DELIVERY_BODY,
            responses={200: {"model": Delivered}, 202: {"model": Delivered}},
        )(self.receive)  # fmt: skip

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Accept deliveries; at the end what was accepted is committed."""
        writer = InboxWriter(self._settings)
        writer.start()
        self._writer = writer
        try:
            yield
        finally:
            self._writer = None
            await writer.stop()

    async def receive(self, request: Request) -> Response:
        """Answer one request: 202 only when the delivery is committed."""
        writer = self._writer
        if writer is None:
            return _reply(request, 503, "The service is starting or stopping.", retry=True)
        try:
            body = await self._authentic_body(request)
        except _Refused as refused:
            writer.count(_NOBODY, refused.outcome)
            return _reply(request, refused.status, str(refused), retry=refused.status == 503, close=True)
        except ClientDisconnect:
            writer.count(_NOBODY, "disconnected")
            return _reply(request, 400, "The body ended early.", close=True)
        try:
            return await _take(writer, request, body)
        finally:
            self._held -= len(body)

    async def _authentic_body(self, request: Request) -> bytes:
        """The body, if GitHub signed it; its bytes count as held then.

        What can be refused without the body is: a stranger gets no memory.

        Raises:
            _Refused: the first thing that is wrong.
        """
        if not self._secrets:
            raise _Refused(503, "no_secret", "No webhook secret is configured: set GITHUB_WEBHOOK_SECRET.")
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            message = f"Expected content type application/json, found {content_type[:100]!r}: choose application/json"
            raise _Refused(415, "content_type", f"{message} as the content type in the webhook's settings at GitHub.")
        signature = _SIGNATURE.fullmatch(request.headers.get("x-hub-signature-256", ""))
        if signature is None:
            message = "Expected a header X-Hub-Signature-256 with sha256= and 64 hexadecimal digits"
            raise _Refused(401, "unsigned", f"{message}: set the webhook's secret at GitHub.")
        if int(_number(request.headers.get("content-length"))) > self._limit:
            raise self._too_large()
        digests = [hmac.new(secret, digestmod=hashlib.sha256) for secret in self._secrets]
        body = await self._read(request, digests)
        told = bytes.fromhex(signature[1])
        # Every secret is compared: how long it takes does not tell which one it was.
        if sum(hmac.compare_digest(digest.digest(), told) for digest in digests) == 0:
            self._held -= len(body)
            message = "The signature does not belong to the body and GITHUB_WEBHOOK_SECRET"
            raise _Refused(401, "wrong_signature", f"{message}: set the same secret here and at GitHub.")
        return body

    async def _read(self, request: Request, digests: list[hmac.HMAC]) -> bytes:
        """The whole body, counted as held; hashed as it comes."""
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_READ_SECONDS):
                async for chunk in request.stream():
                    size += len(chunk)
                    self._held += len(chunk)
                    if size > self._limit:
                        raise self._too_large()
                    if self._held > self._memory:
                        raise _Refused(503, "full", "Too many deliveries are being received; send it again later.")
                    chunks.append(chunk)
                    for digest in digests:
                        digest.update(chunk)
        except TimeoutError as error:
            self._held -= size
            message = f"The body did not come within {_READ_SECONDS:.0f} s."
            raise _Refused(408, "too_slow", message) from error
        except (_Refused, ClientDisconnect, asyncio.CancelledError):
            self._held -= size
            raise
        return b"".join(chunks)

    def _too_large(self) -> _Refused:
        return _Refused(413, "too_large", f"The body is larger than {self._limit:,} bytes (WEBHOOK_MAX_BYTES).")


async def _take(writer: InboxWriter, request: Request, body: bytes) -> Response:
    """Store a delivery of GitHub, or say why it is not."""
    event = request.headers.get("x-github-event", "")
    if not _EVENT.fullmatch(event):
        writer.count(_NOBODY, "malformed")
        return _reply(request, 400, "Expected the name of an event in the header X-GitHub-Event.")
    delivery = request.headers.get("x-github-delivery", "")
    kept = {"x-github-delivery": delivery} if _DELIVERY.fullmatch(delivery) else {}
    if len(body) <= _INLINE:
        admission = admit(event, kept, body)
    else:
        admission = await asyncio.to_thread(admit, event, kept, body)
    if admission.arrival is None:
        writer.count(event, admission.outcome)
        return _answer(request, admission)
    try:
        await writer.write(admission.arrival, event, admission.outcome, admission.if_tracked)
    except InboxFull:
        writer.count(event, "full")
        return _reply(request, 503, "Too many deliveries wait to be stored; send it again later.", retry=True)
    except InboxUnavailable:
        message = "The database does not take deliveries at the moment; nothing of this one is stored. Send it again."
        return _reply(request, 503, message, retry=True)
    return _answer(request, admission)


def _number(value: str | None) -> str:
    """The value, if it is digits; a body without a length is measured as it comes."""
    return value if value is not None and value.isascii() and value.isdigit() and len(value) < 20 else "0"


def _answer(request: Request, admission: Admission) -> Response:
    if admission.status < 300:
        content = orjson.dumps({"status": admission.outcome, "message": admission.message})
        return Response(content, admission.status, media_type="application/json")
    return _reply(request, admission.status, admission.message)


def _reply(request: Request, status: int, message: str, *, retry: bool = False, close: bool = False) -> Response:
    """An error in the shape of all the service's errors. close: what is left of the body is not read."""
    headers = {"Retry-After": f"{_RETRY_SECONDS}"} if retry else {}
    if close:
        headers["Connection"] = "close"
    return rendered(request.scope, status, message, headers)

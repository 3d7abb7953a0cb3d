"""GET /metrics: what the service does, in Prometheus' text format.

Source: https://prometheus.io/docs/practices/naming/. Labels have few values: routes as they were declared, never a
path, an id, a login or a question.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import prometheus_client
from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from answering.ask import Answerer
from answering.http import streams
from resources.llm import Usage
from resources.postgres import Database

PATH = "/metrics"
Pools = Callable[[], Mapping[str, Database]]
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_ANSWER_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads


class Metrics:
    """Everything that is counted in one process.

    answerer: the one that is loaded, None without; databases: the open pools of connections, by name.
    """

    def __init__(self, answerer: Callable[[], Answerer | None], databases: Pools) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_State(answerer, databases))
        self._requests = Counter(
            "starsearch_requests_total", "Requests that ended; status 0: the client left before any.",
            ["method", "route", "status"], registry=registry,
        )  # fmt: skip
        self._request_seconds = Histogram(
            "starsearch_request_seconds", "Time of requests, streams to their end.", ["route"],
            buckets=_REQUEST_SECONDS, registry=registry,
        )  # fmt: skip
        self._answers = Counter(
            "starsearch_answers_total",
            "Answers by mode and outcome: answered, abstained, degraded, failed, or left by the client.",
            ["mode", "outcome"], registry=registry,
        )  # fmt: skip
        self._answer_seconds = Histogram(
            "starsearch_answer_seconds", "Time of answers, whole ones.", ["mode"], buckets=_ANSWER_SECONDS,
            registry=registry,
        )  # fmt: skip
        self._cached = Counter(
            "starsearch_answer_cache_hits_total", "Answers that had been made for the same question.", registry=registry
        )
        self._dropped = Counter(
            "starsearch_dropped_sentences_total", "Sentences of the LLM that no evidence backed.", registry=registry
        )
        self._tokens = Counter(
            "starsearch_llm_tokens_total", "Tokens that the LLM read (in) and wrote (out) for answers.", ["direction"],
            registry=registry,
        )  # fmt: skip
        self._calls = Counter("starsearch_llm_calls_total", "Requests to the LLM for answers.", registry=registry)
        self.in_progress = Gauge(
            "starsearch_answers_in_progress", "Answers and searches in the making.", registry=registry
        )
        self.refused = Counter(
            "starsearch_answers_refused_total", "Answers and searches refused because as many as allowed were made.",
            registry=registry,
        )  # fmt: skip
        self.streams = Gauge("starsearch_open_streams", "Streams of events that are open.", registry=registry)
        for direction in ("in", "out"):
            self._tokens.labels(direction)

    def request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that ended. status: 0: none was sent."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", None) or "none"
        self._requests.labels(method, route, status).inc()
        self._request_seconds.labels(route).observe(seconds)

    def answer(self, done: Mapping[str, Any], usage: Usage, seconds: float, *, left: bool) -> None:
        """Count an answer. done: its JSON, empty where it came to none; left: because the client had gone."""
        mode = done.get("mode", "none")
        if not done:
            outcome = "left" if left else "failed"
        elif done["abstained"]:
            outcome = "abstained"
        else:
            outcome = "degraded" if mode == "degraded" else "answered"
        self._answers.labels(mode, outcome).inc()
        self._answer_seconds.labels(mode).observe(seconds)
        self._calls.inc(usage.requests)
        self._tokens.labels("in").inc(usage.tokens_in)
        self._tokens.labels("out").inc(usage.tokens_out)
        if done.get("cached"):
            self._cached.inc()
        else:
            self._dropped.inc(done.get("dropped", 0))


class _State(Collector):
    """What is looked up when it is asked for: the release that is served, and connections to PostgreSQL."""

    def __init__(self, answerer: Callable[[], Answerer | None], databases: Pools) -> None:
        self._answerer, self._databases = answerer, databases

    def describe(self) -> list[Metric]:
        """Nothing is asked for when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The gauges; of a release only where one is served."""
        answerer = self._answerer()
        release = answerer and answerer.pinned
        if release:
            yield GaugeMetricFamily(
                "starsearch_release_number", "The release that answers are made from.", release.release_id
            )
            if release.created_at is not None:
                age = datetime.now(UTC) - release.created_at
                yield GaugeMetricFamily(
                    "starsearch_release_age_seconds", "Time since that release was made.", age.total_seconds()
                )
        in_use = GaugeMetricFamily(
            "starsearch_database_connections_in_use", "Connections to PostgreSQL that are in use.", labels=["pool"]
        )
        most = GaugeMetricFamily(
            "starsearch_database_connections_max", "Connections to PostgreSQL that may be open.", labels=["pool"]
        )
        waiting = GaugeMetricFamily(
            "starsearch_database_requests_waiting", "Statements that wait for a connection.", labels=["pool"]
        )
        for name, database in self._databases().items():
            pool = database.pool
            in_use.add_metric([name], pool.in_use)
            most.add_metric([name], pool.most)
            waiting.add_metric([name], pool.waiting)
        yield from (in_use, most, waiting)


class Counted:
    """ASGI middleware around all others: counts requests and open streams."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, streaming, begun = 0, False, time.monotonic()

        async def sending(message: Message) -> None:
            nonlocal status, streaming
            if message["type"] == "http.response.start":
                status = message["status"]
                streaming = Headers(raw=message["headers"]).get("content-type", "").startswith(streams.MEDIA_TYPE)
                if streaming:
                    self._metrics.streams.inc()
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            if streaming:
                self._metrics.streams.dec()
            self._metrics.request(scope, status, time.monotonic() - begun)


def metrics_routes(metrics: Metrics) -> APIRouter:
    """The route, to be included in the service."""
    router = APIRouter()

    @router.get(
        PATH,
        summary="What the service does, for Prometheus.",
        description="Open as anonymous use is where the service is bound to loopback; elsewhere it needs a key with the"
        " scope `metrics`.",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def told() -> Response:
        text = prometheus_client.generate_latest(metrics.registry)
        return Response(text, media_type=prometheus_client.CONTENT_TYPE_LATEST)

    return router

"""SIGTERM under open streams: the service takes no new request, and every stream is told to its end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

from resources.postgres import Database
from resources.settings import Settings
from tests.doubles.llm_server import Latency, LLMServer
from tests.integration.faces import QUESTION, answerable
from tests.integration.spaces import running_service

STREAMS = 50


def test_sigterm_loses_no_open_stream(settings: Settings, database: Database, tools: Database) -> None:
    """Fifty answers wait for the LLM when the signal comes; each of them ends in `done`, and the process ends."""
    with LLMServer(models=("first", "writer"), dimensions=16) as server, ThreadPoolExecutor(STREAMS) as people:
        settings = answerable(settings, database, tools, server)
        server.latency = Latency(fixed=3.0)
        begun = threading.Semaphore(0)
        extra = {
            "EMBEDDING_MODEL": "first", "EMBEDDING_BASE_URL": server.url, "LLM_BASE_URL": server.url,
            "ANSWER_MODEL": "writer", "ANSWER_CONCURRENCY": "100", "ANSWER_CACHE": "false",
        }  # fmt: skip

        def listen(url: str) -> str:
            """The last event of a stream."""
            last = ""
            headers = {"Accept": "text/event-stream"}
            with httpx.stream(
                "POST", f"{url}/v1/ask", json={"question": QUESTION}, headers=headers, timeout=60
            ) as reply:
                for line in reply.iter_lines():
                    if line.startswith("event: "):
                        if not last:
                            begun.release()
                        last = line
            return last

        with running_service(settings, **extra) as url:
            streams = [people.submit(listen, url) for _ in range(STREAMS)]
            for _ in range(STREAMS):
                assert begun.acquire(timeout=60)
            assert not any(stream.done() for stream in streams)
        assert {stream.result() for stream in streams} == {"event: done"}

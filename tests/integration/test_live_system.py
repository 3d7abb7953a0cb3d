"""The whole way, running: what happens now at GitHub and in git can be asked about, without anybody doing anything."""

from __future__ import annotations

from pathlib import Path

import httpx
import psycopg

from resources.embedded_postgres import EmbeddedPostgres
from tests.integration.commands import as_json, starsearch
from tests.live import TOPICS, live_system

DEADLINE = 600.0
"""Seconds, on a machine that does other things too; benchmarks/live.py holds the two minutes."""


def test_what_happens_now_can_be_asked_about(tmp_path: Path) -> None:
    """A pull request and an issue that are polled, a commit that is fetched, a release that is delivered: processed by
    sensors' runs, released, answered, cited; then once more in the running system; every event is stored once, and
    doctor and status tell of the sources."""
    with live_system(tmp_path, poll_interval=2) as system:
        for _ in range(2):
            news = system.happen()
            cited = system.until_all_are_cited(news, DEADLINE)
            assert set(cited) == set(TOPICS)
        answer = httpx.post(
            f"http://127.0.0.1:{system.service}/v1/ask", json={"question": news[0].question}, timeout=60
        ).json()
        assert "git history of 1" in answer["coverage"]["text"]
        status = as_json(system.home, "status", **system.variables)
        assert [status[name] for name in ("pull_requests", "issues", "commits", "releases")] == [2, 2, 2, 2]
        told = starsearch(system.home, "doctor", check=False, **system.variables).stdout
        assert "events api" in told
        assert "git_history of 1 repositories" in told
        with psycopg.connect(EmbeddedPostgres(system.home).url()) as connection:
            events, distinct = connection.execute(
                "SELECT count(*), count(DISTINCT (created_at, event_id, type)) FROM starsearch.events"
            ).fetchone()
        assert (events, distinct) == (6, 6)

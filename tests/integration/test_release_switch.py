"""Releases come while questions are answered: none fails, and none is answered from two of them."""

from __future__ import annotations

import re

import httpx

from resources.postgres import Database
from resources.settings import Settings
from tests.doubles.llm_server import LLMServer
from tests.integration.spaces import (
    Answers,
    add_items,
    asked_all_the_time,
    build,
    embed,
    own,
    release,
    running_service,
)


def test_every_answer_rests_on_one_release(settings: Settings, database: Database, tools: Database) -> None:
    """Each release has another author of everything: an answer names that of its own release only, and so do the
    artifacts to which its citations are traced."""
    settings = settings.model_copy(update={"recall_floor": 0.5})
    with LLMServer(models=("first",)) as server:
        settings = own(settings, server)
        add_items(database, days=4)
        embed(database, settings, days=4)
        authors: dict[int, str] = {}

        def publish(author: str) -> int:
            for table in ("pull_requests", "issues"):
                database.execute(f"UPDATE {table} SET author_login = %s", [author])
            build(database, "first")
            number = release(database, tools, "first").release_id
            assert number is not None
            authors[number] = author
            return number

        first = publish("ada0")
        extra = {"EMBEDDING_MODEL": "first", "EMBEDDING_BASE_URL": server.url, "ANSWER_CACHE": "false"}
        with running_service(settings, **extra) as url, asked_all_the_time(Answers(url), threads=4) as load:
            load.sees(first)
            for number in range(1, 6):
                load.sees(publish(f"ada{number}"))
            load.asks_on()
            lineages = [httpx.get(f"{url}/v1/answers/{one['answer_id']}/lineage").json() for one in load.answers[::5]]
    assert load.problems == []
    assert load.releases == sorted(authors)
    for answer in load.answers:
        assert set(re.findall(r"@(\w+)", answer["answer"])) == {authors[answer["release"]]}, answer
    of_release = {
        number: {table for (table,) in database.fetch_all(
            "SELECT table_name FROM published.release_artifacts WHERE release_id = %s", [number])}
        for number in authors
    }  # fmt: skip
    for lineage in lineages:
        for cited in lineage["citations"]:
            steps = {step["step"]: step for step in cited["steps"]}
            assert steps["release"]["release"] == lineage["release"]
            assert steps["index_artifact"]["table"] in of_release[lineage["release"]]

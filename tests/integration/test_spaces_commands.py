"""`starsearch spaces …`: what is refused, what is filled, killed and gone on with, and what is dropped."""

from __future__ import annotations

import signal
import subprocess
from typing import Any

import pytest

from resources.embedders import Embedders
from resources.errors import ConfigurationError, EmbedderError, NothingLoaded, ResourceError, SpaceRefused
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.embeddings.create import create_model
from starsearch_assets.embeddings.drop import drop_model
from starsearch_assets.embeddings.switch import activate_model
from tests.doubles.llm_server import LLMServer
from tests.doubles.llm_server.misbehaviour import Misbehaviour
from tests.integration.commands import ROOT, as_json, command, environment, starsearch
from tests.integration.processes import until
from tests.integration.spaces import (
    DAYS,
    FIRST,
    add_items,
    build,
    embed,
    own,
    release,
    serving,
    stored,
    two_models,
    variables,
)

BROKEN: list[tuple[Misbehaviour, str]] = [
    ("NaN", "NaN"),
    ("zero vector", "unit length"),
    ("fewer vectors", "was asked for 4 vectors and returned 3"),
    ("wrong indexes", "numbered"),
    ("not JSON", "no list of embeddings"),
    ("400", "gave no vectors"),
]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Small releases: the floor of recall is not what is tested here."""
    return settings.model_copy(update={"recall_floor": 0.5})


def everything(database: Database) -> list[Any]:
    """What a refused command must not change."""
    return [
        database.fetch_all(f"SELECT to_jsonb(t) FROM {table} t ORDER BY 1")
        for table in ("embedding_models", "embedding_spaces", "audits", "dirty_months", "index_artifacts")
    ] + [database.fetch_all("SELECT tablename FROM pg_tables WHERE schemaname <> 'pg_catalog' ORDER BY 1")]


@pytest.mark.parametrize(("what", "message"), BROKEN)
def test_a_broken_server_is_not_registered(
    settings: Settings, database: Database, what: Misbehaviour, message: str
) -> None:
    """Refused with what it did wrong, and nothing is written."""
    with LLMServer(models=("second",)) as server:
        before = everything(database)
        server.misbehave(what, when=lambda request: len(request.body["input"]) > 1)
        with pytest.raises(EmbedderError, match=message):
            create_model(database, Embedders(settings), "second", server.url)
        assert everything(database) == before


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [(17, "17 dimensions, and its spaces are of 16.*Nothing was written"), (16, "not the same model")],
)
def test_another_model_under_the_same_name_is_refused(
    settings: Settings, database: Database, dimensions: int, message: str
) -> None:
    """By its dimensions, or by the vectors that it gives for texts whose vectors are stored."""
    with LLMServer(models=("second",)) as server, LLMServer(models=("second",), dimensions=dimensions) as other:
        add_items(database, days=1)
        create_model(database, Embedders(settings), "second", server.url)
        embed(database, settings.model_copy(update={"embedding_model": "second", "embedding_base_url": server.url}), 1)
        database.execute("UPDATE pull_request_vectors_second_16 SET document = document || '.'")
        before = everything(database)
        with pytest.raises(EmbedderError, match=message):
            create_model(database, Embedders(settings), "second", other.url)
        assert everything(database) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("second", "http://me:hush@host/v1"), "no user, password or query"),
        (("second", "http://hush@host/v1"), "no user, password or query"),
        (("second", "https://host/v1?key=hush"), "no user, password or query"),
        (("second", "host/v1"), "expected http://host/v1"),
        (("second", "http://host/v1", "sk-hush"), "not a key"),
        (("second", "http://host/v1", "HUSH_UNSET"), "wants a key"),
        (("second", None, "HUSH"), "give its --base-url"),
        (("no/such/folder",), "neither 'all-MiniLM-L6-v2', nor a folder"),
        (("all-MiniLM-L6-v2", "http://host/v1"), "EMBEDDING_MODEL names all-MiniLM-L6-v2 too"),
    ],
)
def test_what_cannot_be_registered(
    settings: Settings, database: Database, arguments: tuple[str, ...], message: str
) -> None:
    """Each says what was expected, and shows nothing that may be secret."""
    with pytest.raises(ResourceError, match=message) as raised:
        create_model(database, Embedders(settings), *arguments)
    assert "hush" not in str(raised.value)
    assert database.fetch_value("SELECT count(*) FROM embedding_models") == 0


def test_parameters_of_the_indexes_are_the_space_s_own(settings: Settings, database: Database) -> None:
    """m and ef_construction are set when it is created or later; months built with others are built anew."""
    with LLMServer(models=("first", "second")) as server:
        settings = own(settings, server)
        add_items(database, days=DAYS)
        create_model(database, Embedders(settings), "second", server.url, None, 8, 40)
        embed(database, settings)
        build(database, "first")
        build(database, "second")
        database.execute("DELETE FROM dirty_months")
        with pytest.raises(ConfigurationError, match="m 32 and ef_construction 40: expected"):
            create_model(database, Embedders(settings), "second", None, None, 32)
        create_model(database, Embedders(settings), "second", None, None, 24, 64)
        assert database.fetch_value("SELECT count(*) FROM dirty_months") == 4
        build(database, "second")
        definitions = database.fetch_all(
            "SELECT version, indexdef FROM index_artifacts JOIN embedding_spaces USING (space_id) JOIN pg_indexes"
            " ON tablename = index_artifacts.table_name WHERE model = 'second' AND indexdef LIKE '%hnsw%'"
        )
        assert {(version, "m='24'" in text, "ef_construction='64'" in text) for version, text in definitions} == {
            (1, False, False), (2, True, True)
        }  # fmt: skip


def test_fill_goes_on_after_a_kill(settings: Settings, database: Database, tools: Database) -> None:
    """The command is killed between two days and run again: the same rows as without, done days are not asked for
    again, the indexes are built, and the switch works; with a broken server it writes nothing."""
    with LLMServer(models=("first", "second"), dimensions=24) as server:
        settings = own(settings, server)
        add_items(database)
        embed(database, settings)
        build(database, "first")
        old = release(database, tools, "first").release_id
        known = variables(
            settings, EMBEDDING_MODEL="first", EMBEDDING_BASE_URL=server.url, STARSEARCH_START=f"{FIRST}",
            RECALL_FLOOR="0.5",
        )  # fmt: skip
        unknown = starsearch(settings.home, "spaces", "fill", "second", check=False, **known)
        assert unknown.returncode == 1
        assert "'second' is not registered" in unknown.stderr
        starsearch(settings.home, "spaces", "create", "second", "--base-url", server.url, **known)

        before = everything(database)
        server.misbehave("NaN")
        broken = starsearch(settings.home, "spaces", "fill", "second", check=False, **known)
        assert broken.returncode == 1
        assert "NaN" in broken.stderr
        assert "Traceback" not in broken.stderr
        assert everything(database) == before
        server.behave()

        server.misbehave("hang", seconds=120, when=lambda request: len(stored(database, "second")) >= 35)
        process = subprocess.Popen(
            command(settings.home, "spaces", "fill", "second"),
            cwd=ROOT, env=environment(settings.home, **known), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        until(lambda: process.poll() is not None or len(stored(database, "second")) >= 35)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        server.behave()
        done = {(row[0], row[2]) for row in stored(database, "second")}
        assert 35 <= len(done) < 10 * DAYS
        asked = len(server.embedded)
        result = starsearch(settings.home, "spaces", "fill", "second", **known)
        assert "Every day has its vectors of second." in result.stdout
        again = [text for texts in server.embedded[asked:] for text in texts]
        assert len([text for text in again if text.startswith("Work ")]) == 10 * DAYS - len(done)
        killed = stored(database, "second")
        assert len(killed) == 10 * DAYS
        assert "0 days and 0 months run." in starsearch(settings.home, "spaces", "fill", "second", **known).stdout

        listed = {(one["model"], one["kind"]): one for one in as_json(settings.home, "spaces", "list", **known)}
        one = listed["second", "pull_request"]
        assert (one["vectors"], one["passed"], one["days"], one["items"]) == (50, 10, 10, 50)
        assert (one["artifacts"], one["dimensions"], one["serving"], one["where"]) == (2, 24, False, server.url)
        assert one["bytes"] > 0
        assert listed["first", "issue"]["serving"]
        switched = starsearch(settings.home, "spaces", "activate", "second", **known)
        assert f"Release {old + 1} is active" in switched.stdout
        assert serving(database) == ["second"]
        doctor = starsearch(settings.home, "doctor", check=False, **known).stdout
        assert "EMBEDDING_MODEL is first, but second serves" in doctor

        database.execute("DROP TABLE pull_request_vectors_second_24, issue_vectors_second_24")
        database.execute("DELETE FROM audits WHERE check_name LIKE '%%second%%'", [])
        embed(database, settings)
        assert stored(database, "second") == killed


def test_a_model_in_use_is_not_dropped(settings: Settings, database: Database, tools: Database) -> None:
    """Serving, named by the settings, or of a kept release: each says what to do. Unknown names are named."""
    with two_models(settings, database) as (settings, server):
        one = release(database, tools, "first").release_id
        with pytest.raises(SpaceRefused, match="first serves"):
            drop_model(database, Embedders(settings), "first")
        activate_model(settings, database, tools, "second")
        with pytest.raises(SpaceRefused, match="EMBEDDING_MODEL is first"):
            drop_model(database, Embedders(settings), "first")
        with pytest.raises(SpaceRefused, match=f"Kept releases are made of first: {one}"):
            drop_model(database, Embedders(own(settings, server, "second")), "first")
        with pytest.raises(NothingLoaded, match="There is no embedding model 'third'"):
            drop_model(database, Embedders(settings), "third")


def test_a_dropped_model_leaves_nothing(settings: Settings, database: Database, tools: Database) -> None:
    """Vectors, artifacts, candidates, verdicts, rows: all go or none. One that is being read is left whole."""
    with LLMServer(models=("first", "second")) as server:
        settings = own(settings, server)
        add_items(database, days=2)
        embed(database, settings, days=2)
        build(database, "first")
        release(database, tools, "first")
        nothing = everything(database)
        create_model(database, Embedders(settings), "second", server.url)
        embed(database, settings, days=2)
        build(database, "second")
        refused = activate_model(settings.model_copy(update={"recall_floor": 1.01}), database, tools, "second")
        assert refused.outcome == "refused"
        full = everything(database)
        with tools.transaction() as reader:
            table = database.fetch_value(
                "SELECT a.table_name FROM index_artifacts a JOIN embedding_spaces USING (space_id)"
                " WHERE model = 'second'"
            )
            reader.execute(f"SELECT count(*) FROM artifacts.{table}")
            with pytest.raises(SpaceRefused, match="nothing was dropped"):
                drop_model(database, Embedders(settings), "second")
        assert everything(database) == full
        dropped = drop_model(database, Embedders(settings), "second")
        assert (dropped.spaces, dropped.artifacts) == (4, 2)
        assert dropped.bytes > 0
        left = everything(database)
        assert left[0] == nothing[0]
        assert left[1] == nothing[1]
        assert left[5] == nothing[5]
        assert not [row for (row,) in left[2] if "second" in row["check_name"]]
        assert not database.fetch_value("SELECT count(*) FROM search_releases WHERE status = 'refused'")
        assert database.fetch_value("SELECT count(*) FROM release_artifacts") == 2

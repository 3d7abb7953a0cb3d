"""Which models are registered, what a day does for each of them, and what an older database becomes."""

from __future__ import annotations

import shutil
import threading
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from resources import schema
from resources.embedded_postgres import OWNER, EmbeddedPostgres
from resources.embedders import Embedders
from resources.errors import EmbedderError
from resources.kinds import ISSUE, PULL_REQUEST
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets import audits
from starsearch_assets.embeddings.create import create_model
from starsearch_assets.embeddings.every_space import embed_day_everywhere
from starsearch_assets.embeddings.examine import examine_spaces
from starsearch_assets.embeddings.models import register_own
from starsearch_assets.embeddings.overview import due_days
from starsearch_assets.embeddings.spaces import find_space
from tests.doubles.llm_server import LLMServer
from tests.integration.spaces import FIRST, SUMMARIZER, add_items, embed, serving
from tests.integration.test_spaces_switch import own


def due(database: Database, model: str) -> list[int]:
    """The days that a model lacks of pull requests, counted from the first."""
    with database.transaction() as connection:
        days = due_days(connection, PULL_REQUEST, find_space(connection, PULL_REQUEST, model))
    return [(day - FIRST).days for day in days]


def test_the_first_model_serves_and_a_later_one_does_not(settings: Settings, database: Database) -> None:
    """The first run registers the settings' model, which serves; one named later is filled beside it."""
    with LLMServer(models=("first", "second")) as server:
        add_items(database, days=1)
        embed(database, own(settings, server), days=1)
        assert serving(database) == ["first"]
        embed(database, own(settings, server, "second"), days=1)
        assert serving(database) == ["first"]
        assert due(database, "first") == due(database, "second") == []
        told = dict(reversed(examine_spaces(database, own(settings, server, "second"))))
    assert "EMBEDDING_MODEL is second, but first serves" in told["warn"]
    assert "`starsearch spaces activate second`" in told["warn"]


def test_many_processes_register_at_once(settings: Settings, database: Database) -> None:
    """Of two models, eight times at the same moment: both are there, one serves, nobody fails."""
    with LLMServer(models=("first", "second")) as server:
        problems: list[BaseException] = []
        together = threading.Barrier(8)

        def work(model: str) -> None:
            embedders = Embedders(own(settings, server, model))
            together.wait()
            try:
                register_own(database, embedders)
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=work, args=(("first", "second")[n % 2],)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert problems == []
    assert database.fetch_value("SELECT count(*) FROM embedding_models") == 2
    assert len(serving(database)) == 1


def test_a_server_that_is_down_keeps_no_other_model_from_its_vectors(settings: Settings, database: Database) -> None:
    """The other space is filled, the partition fails and names the model, and only that model's day is still due."""
    with LLMServer(models=("first",)) as first, LLMServer(models=("second",)) as second:
        settings = own(settings, first)
        add_items(database, days=2)
        create_model(database, Embedders(settings), "second", second.url)
        embed(database, settings, days=2)
        database.execute("UPDATE pull_requests SET body = 'Changed.'")
        first.misbehave("400")
        with pytest.raises(EmbedderError, match=r"1 of 2 embedding models failed. first: .* Done: second"):
            embed_day_everywhere(database, PULL_REQUEST, FIRST, Embedders(settings), SUMMARIZER, "later")
        assert due(database, "first") == [0]
        assert due(database, "second") == []
        first.behave()
        embed(database, settings, days=1)
        assert due(database, "first") == due(database, "second") == []


def test_a_check_covers_every_space(settings: Settings, database: Database) -> None:
    """One verdict over all of them, with each model's figures; each gate has its own."""
    with LLMServer(models=("first", "second")) as server:
        settings = own(settings, server)
        add_items(database, days=1)
        create_model(database, Embedders(settings), "second", server.url)
        embed(database, settings, days=1)
        names = [
            name
            for (name,) in database.fetch_all(
                "SELECT DISTINCT check_name FROM audits WHERE asset = %s", [PULL_REQUEST.embeddings]
            )
        ]
        with database.transaction() as connection:
            gates = {find_space(connection, PULL_REQUEST, model).gate for model in ("first", "second")}  # type: ignore[union-attr]
    assert gates < set(names)
    for name in set(names) - gates:
        told = audits.newest(database, PULL_REQUEST.embeddings, [f"{FIRST}"], name)[f"{FIRST}"]
        assert told.details["models"] == "first, second", name
        assert {f"{model}: passed" for model in ("first", "second")} <= set(told.details), name
        assert told.passed, name


def test_one_bad_space_fails_the_check_and_not_the_other_gate(settings: Settings, database: Database) -> None:
    """The same vector for every text: that space's day does not reach an index, the other's does."""
    with LLMServer(models=("first", "second")) as server:
        settings = own(settings, server)
        add_items(database, days=1, a_day=12)
        create_model(database, Embedders(settings), "second", server.url)
        embed(database, settings, days=1)
        with database.transaction() as connection:
            space = find_space(connection, PULL_REQUEST, "second")
        assert space is not None
        table = space.table.as_string()
        database.execute(f"UPDATE {table} SET embedding = (SELECT embedding FROM {table} LIMIT 1)")
        embed(database, settings, days=1)
        assert due(database, "first") == []
        assert due(database, "second") == [0]
        failed = database.fetch_all(
            "SELECT check_name FROM newest_audits WHERE asset = %s AND NOT passed", [PULL_REQUEST.embeddings]
        )
        assert len(failed) == 2
        assert (space.gate,) in failed


@pytest.mark.parametrize("released", [True, False])
def test_an_older_database_gets_its_serving_model(
    server: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, released: bool
) -> None:
    """Migrated from 0016: every model that has spaces is registered, and that of the active release serves. Where none
    is active, the settings' own serves from its next run on."""
    name = f"older_{released}".lower()
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
    with psycopg.connect(server.url("postgres", name), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    url = server.url(database=name)
    until_0016 = tmp_path / "migrations"
    until_0016.mkdir()
    for path in schema.MIGRATIONS.glob("*.sql"):
        if path.stem < "0017":
            shutil.copy(path, until_0016)
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", until_0016)
        schema.migrate(url)
    with psycopg.connect(url, options="-c search_path=starsearch,artifacts,public") as connection:
        for number, model in enumerate(("older", "newer")):
            table = f"issue_vectors_{model}_3"
            connection.execute(f"CREATE TABLE {table} (repo_id bigint, ref text, document text, embedding halfvec(3))")
            connection.execute(
                "INSERT INTO embedding_spaces (kind, model, dimensions, table_name) VALUES ('issue', %s, 3, %s)",
                [model, table],
            )
            connection.execute(f"CREATE TABLE artifacts.issue_{model} (repo_id bigint, ref text)")
            connection.execute(
                "INSERT INTO index_artifacts (space_id, month, version, table_name, fingerprint, row_count, bytes,"
                " build_seconds) VALUES (%s, '2026-01-01', 1, %s, 'f', 1, 1, 1)",
                [number + 1, f"issue_{model}"],
            )
            connection.execute("INSERT INTO search_releases (status, fingerprint) VALUES ('published', 'f')")
            connection.execute("INSERT INTO release_artifacts VALUES (%s, %s)", [number + 1, number + 1])
        if released:
            connection.execute("UPDATE active_release SET release_id = 1")
    newer = sorted(path.stem for path in schema.MIGRATIONS.glob("*.sql") if path.stem >= "0017")
    assert schema.migrate(url) == newer
    with Database(url) as database, LLMServer(models=("newer",), dimensions=3) as llm:
        assert serving(database) == (["older"] if released else [])
        assert database.fetch_value("SELECT count(*) FROM embedding_models") == 2
        own_settings = Settings(_env_file=None, embedding_model="newer", embedding_base_url=llm.url)
        row = register_own(database, Embedders(own_settings))
        assert (row.base_url, row.dimensions) == (llm.url, 3)
        assert serving(database) == (["older"] if released else ["newer"])
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_day_that_one_space_missed_is_due_in_it_alone(settings: Settings, database: Database) -> None:
    """A later run that filled another space shows which one was left out; the same run leaves none."""
    with LLMServer(models=("first", "second")) as server:
        settings = own(settings, server)
        add_items(database, days=3)
        embed(database, settings, days=3)
        create_model(database, Embedders(settings), "second", server.url)
        assert due(database, "first") == []
        assert due(database, "second") == [0, 1, 2]
        embed(database, settings, days=1, first=FIRST + timedelta(days=1))
        assert due(database, "first") == []
        assert due(database, "second") == [0, 2]
        with database.transaction() as connection:
            assert len(due_days(connection, ISSUE, None)) == 3

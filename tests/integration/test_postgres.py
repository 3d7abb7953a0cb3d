"""The database: embedded server, migrations, roles, and what is refused."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from resources import schema
from resources.embedded_postgres import OWNER, EmbeddedPostgres
from resources.errors import ConfigurationError, DatabaseUnavailable, SchemaVersionMismatch
from resources.postgres import Database, Role, as_array, dagster_url, open_database, redacted
from resources.schema import expected_version, is_current, migrate
from resources.settings import Settings, load_settings, save_settings


def open_and_count(home: str, queue: multiprocessing.Queue) -> None:
    settings = Settings(_env_file=None, starsearch_home=home)
    with open_database(settings) as database:
        queue.put(database.fetch_value("SELECT count(*) FROM events"))


def test_processes_that_start_at_once_share_one_server(tmp_path):
    """Two processes that start at the same time on an empty home end on one migrated server."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=open_and_count, args=(str(tmp_path), queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    counts = [queue.get(timeout=90) for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert counts == [0, 0, 0]
    server = EmbeddedPostgres(tmp_path)
    assert server.running
    assert server.stop()
    assert not server.running
    assert not server.stop()


def test_the_server_survives_a_killed_user_and_comes_back_after_its_own_crash(tmp_path):
    """A SIGKILLed process leaves the server up; a SIGKILLed server starts again with its data."""
    program = (
        "import sys, time; from pathlib import Path; from resources.settings import Settings;"
        "from resources.postgres import open_database;"
        "db = open_database(Settings(_env_file=None, starsearch_home=sys.argv[1]));"
        "db.execute(\"INSERT INTO repository_requests VALUES ('kept/row')\");"
        "print('ready', flush=True); time.sleep(60)"
    )
    user = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    assert user.stdout.readline().strip() == "ready"
    user.kill()
    user.wait()
    server = EmbeddedPostgres(tmp_path)
    assert server.running
    pid = int((tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)
    with open_database(Settings(_env_file=None, starsearch_home=tmp_path)) as database:
        assert database.fetch_value("SELECT name FROM repository_requests") == "kept/row"
    server.stop()


def test_dagster_has_a_database_of_its_own(server, settings):
    """Dagster's storage is a second database on the same server."""
    embedded = Settings(_env_file=None, starsearch_home=server._home)
    assert psycopg.connect(dagster_url(embedded)).execute("SELECT current_database()").fetchone() == ("dagster",)
    assert dagster_url(settings).split("?")[0].endswith("/dagster")


def test_an_unmigrated_database_is_refused_until_migrate_runs(server, tmp_path):
    """On a server that is not embedded nothing migrates by itself, and the message says what to run."""
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS bare")
        connection.execute("CREATE DATABASE bare OWNER starsearch_owner")
    with psycopg.connect(server.url("postgres", "bare"), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    settings = Settings(_env_file=None, starsearch_home=tmp_path, database_url=server.url(database="bare"))
    with pytest.raises(SchemaVersionMismatch, match=r"version none.*starsearch migrate"):
        open_database(settings)
    assert migrate(server.url(database="bare"))[0] == "0001-events"
    assert migrate(server.url(database="bare")) == []
    with open_database(settings) as database:
        connection = psycopg.connect(database.url, autocommit=True)
        assert is_current(connection)
        for lost in (expected_version(), "0011-polling"):  # the newest one, and one in the middle
            connection.execute("DELETE FROM starsearch._yoyo_migration WHERE migration_id = %s", [lost])
            with pytest.raises(SchemaVersionMismatch, match=rf"{lost}.* missing\).*needs {expected_version()}"):
                open_database(settings)


def test_a_database_of_the_future_is_refused(database, settings):
    """A schema newer than the code is not touched."""
    database.execute(
        "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc) VALUES ('x', '9999-later', now())"
    )
    with pytest.raises(SchemaVersionMismatch, match="upgrade this one"):
        open_database(settings)


def test_a_migration_that_is_cut_off_leaves_nothing_and_is_applied_again(server, tmp_path, monkeypatch):
    """What it changed and that it was applied are one transaction: a pod may be evicted between them."""
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE cut OWNER {OWNER}")
    with psycopg.connect(server.url("postgres", "cut"), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    url, folder = server.url(database="cut"), tmp_path / "migrations"
    folder.mkdir()
    shutil.copy(schema.MIGRATIONS / "0001-events.sql", folder)
    monkeypatch.setattr(schema, "MIGRATIONS", folder)
    assert migrate(url) == ["0001-events"]
    (folder / "0002-more.sql").write_text("-- depends: 0001-events\nCREATE TABLE more (n int);\n")
    with psycopg.connect(url, autocommit=True, options="-c search_path=starsearch,public") as connection:
        connection.execute(
            "CREATE FUNCTION cut_off() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'cut off'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER cut_off BEFORE INSERT ON _yoyo_migration FOR EACH ROW EXECUTE FUNCTION cut_off()"
        )
        with pytest.raises(psycopg.errors.RaiseException, match="cut off"):
            migrate(url)
        assert connection.execute("SELECT to_regclass('more')").fetchone() == (None,)
        connection.execute("DROP TRIGGER cut_off ON _yoyo_migration")
        assert migrate(url) == ["0002-more"]
        assert migrate(url) == []
        assert connection.execute("SELECT count(*) FROM more").fetchone() == (0,)


def test_missing_rights_are_explained(server):
    """An owner that may not create the extension is told what an administrator has to do."""
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS plain")
        connection.execute("CREATE DATABASE plain OWNER starsearch_owner")
    with pytest.raises(ConfigurationError, match="vector"):
        migrate(server.url(database="plain"))


@pytest.mark.parametrize(
    "url", ["postgresql://nobody:pw@127.0.0.1:1/none", "postgresql://u@no-such-host.invalid/x", "mysql://u@h/x"]
)
def test_a_wrong_database_url_says_what_to_do_and_hides_the_password(url, tmp_path):
    """Unreachable host, unknown host, wrong scheme: one clear error, without the password."""
    with pytest.raises(DatabaseUnavailable, match="DATABASE_URL") as error:
        open_database(Settings(_env_file=None, starsearch_home=tmp_path, database_url=url))
    assert "pw" not in str(error.value).replace("postgresql", "")


def test_tools_read_published_views_and_nothing_else(tools):
    """The role behind answers cannot write, and sees neither pipeline tables nor the service's."""
    assert tools.fetch_value("SELECT count(*) FROM items") == 0
    for statement in (
        "SELECT * FROM starsearch.events",
        "SELECT * FROM service.answers",
        "INSERT INTO published.repositories VALUES (1, 'a/b', now())",
        "CREATE TABLE artifacts.mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "SELECT pg_read_file('/etc/hostname')",
    ):
        with pytest.raises(psycopg.Error):
            tools.execute(statement)


def test_the_service_writes_only_its_own_schema(service):
    """The service keeps answers; the pipeline's tables are closed to it."""
    assert service.fetch_value("SELECT count(*) FROM answers") == 0
    for statement in ("DELETE FROM starsearch.events", "SELECT * FROM starsearch.repositories"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute(statement)


def test_a_statement_alone_is_a_transaction_and_leaves_the_connection_as_it_was(database):
    """It is done as a whole or not at all; after one that fails, too, a block is a transaction again."""
    database.execute("CREATE TABLE kept (n integer UNIQUE)")
    assert database.execute("INSERT INTO kept VALUES (1), (2)") == 2
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute("INSERT INTO kept VALUES (3), (1)")
    with database.transaction() as connection:
        connection.execute("INSERT INTO kept VALUES (4)")
        connection.rollback()
    assert database.fetch_all("SELECT n FROM kept ORDER BY n") == [(1,), (2,)]


def test_a_connection_lost_under_a_statement_is_told_as_lost(database):
    """The server ends the session: the error is the server's, and the next statement has another connection."""
    with pytest.raises(psycopg.OperationalError):
        database.fetch_all("SELECT pg_terminate_backend(pg_backend_pid())")
    assert database.fetch_value("SELECT 1") == 1


def test_roles_are_taken_with_set_role_where_only_the_owner_can_log_in(settings):
    """One DATABASE_URL is enough: the tools' rights hold although the owner logs in."""
    only = settings.model_copy(update={"tools_database_url": None, "service_database_url": None})
    owner = only.database_url.get_secret_value()
    superuser = owner.replace("starsearch_owner@", "postgres@")
    with Database(superuser, Role.TOOLS) as tools:
        assert tools.fetch_value("SELECT current_user") == "starsearch_tools"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            tools.fetch_all("SELECT * FROM starsearch.events")


def test_redacted_hides_the_password():
    """A URL in a message has no password."""
    assert redacted("postgresql://me:secret@host:5432/db") == "postgresql://me:***@host:5432/db"


def test_settings_are_merged_and_the_environment_wins(tmp_path, monkeypatch):
    """What `demo` remembers is read again, unless the environment says otherwise."""
    monkeypatch.setenv("STARSEARCH_HOME", str(tmp_path))
    save_settings(tmp_path, {"GH_ARCHIVE_URL": "/a", "STARSEARCH_START": "2025-10-06"})
    save_settings(tmp_path, {"GH_ARCHIVE_URL": "/b"})
    assert load_settings().gh_archive_url == "/b"
    assert str(load_settings().starsearch_start) == "2025-10-06"
    monkeypatch.setenv("GH_ARCHIVE_URL", "/c")
    assert load_settings().gh_archive_url == "/c"


def test_a_setting_that_cannot_work_is_named(monkeypatch):
    """The error names the variable and what it should be."""
    monkeypatch.setenv("RELEVANCE_THRESHOLD", "high")
    with pytest.raises(ConfigurationError, match="RELEVANCE_THRESHOLD"):
        load_settings()


def test_every_setting_is_documented():
    """docs/settings.md has a row for each setting."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text()
    missing = [name.upper() for name in Settings.model_fields if f"`{name.upper()}`" not in text]
    assert missing == []


def test_arrays_as_text_are_what_was_given(database: Database) -> None:
    """Whatever is in the texts, and nothing, stays itself."""
    texts = ["", "NULL", "a,b", "{c}", 'd"e', "f\\g\\", " h ", "i\nj", "ö", "%s", "'k'"]
    assert database.fetch_value("SELECT %s::text[]", [as_array([*texts, None])]) == [*texts, None]
    assert database.fetch_value("SELECT %s::bigint[]", [as_array([1, -(2**60), None])]) == [1, -(2**60), None]
    assert database.fetch_value("SELECT %s::text[]", [as_array(())]) == []

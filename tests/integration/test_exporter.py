"""What PostgreSQL's exporter asks in the cluster, asked of the real schema by the role that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from resources.embedded_postgres import DAGSTER_DATABASE, OWNER, SERVICE, TOOLS, EmbeddedPostgres
from resources.settings import Settings
from tests.kubernetes.charts import HELM_VALUES, values

CLUSTER = values("starsearch-postgres", "gpu-daemonset")
QUERIES = {one["name"]: one for one in CLUSTER["cluster"]["monitoring"]["customQueries"]}
GRANTS = re.findall(r"^ {4}(GRANT .+;)$", (HELM_VALUES / "README.md").read_text(), re.MULTILINE)


LEDGER = ((3, "loaded", 0.97), (4, "loaded", 0.5), (5, "missing", None), (300, "failed", None))
"""Hours ago, status, captured share."""


@pytest.fixture
def monitor(server: EmbeddedPostgres, settings: Settings) -> Iterator[psycopg.Connection[dict[str, float]]]:
    """A superuser's connection, as the exporter's, with a few hours in the ledger; nothing of it is kept."""
    assert settings.database_url is not None
    name = str(conninfo_to_dict(settings.database_url.get_secret_value())["dbname"])
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with psycopg.connect(server.url("postgres", name), row_factory=dict_row) as connection:
        for hours, status, captured in LEDGER:
            connection.execute(
                "INSERT INTO starsearch.ingest_ledger (url, hour, status, capture_rate) VALUES (%s, %s, %s, %s)",
                [f"https://data.example/{hours}", now - timedelta(hours=hours), status, captured],
            )
        yield connection
        connection.rollback()


def test_capture_is_told(monitor: psycopg.Connection[dict[str, float]]) -> None:
    """The columns are the metrics; the newest loaded hour, the last week's gaps and its least share."""
    query = QUERIES["starsearch_ingest"]
    monitor.execute(f"SET LOCAL ROLE {OWNER}")
    for grant in GRANTS:
        monitor.execute(grant)
    monitor.execute("SET LOCAL ROLE pg_monitor")
    row = monitor.execute(query["query"]).fetchone()
    assert row is not None
    assert list(row) == [name for metric in query["metrics"] for name in metric]
    assert 3 * 3600 <= row["newest_hour_age_seconds"] < 4 * 3600 + 60
    assert row["hours_without_events"] == 1
    assert row["lowest_capture_rate"] == pytest.approx(0.5)


def test_without_the_grants_nothing_is_told(monitor: psycopg.Connection[dict[str, float]]) -> None:
    """pg_monitor alone reads no table of ours."""
    monitor.execute("SET LOCAL ROLE pg_monitor")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        monitor.execute(QUERIES["starsearch_ingest"]["query"])


def test_roles_and_databases_are_those_that_migrations_expect() -> None:
    """The owner may become the other two, and owns both databases; only the three log in."""
    roles = {one["name"]: one for one in CLUSTER["cluster"]["roles"]}
    assert roles.keys() == {OWNER, SERVICE, TOOLS}
    assert roles[OWNER]["inRoles"] == [SERVICE, TOOLS]
    assert all(one["login"] and not one.get("superuser") for one in roles.values())
    owners = {one["name"]: one["owner"] for one in CLUSTER["databases"]}
    assert owners == {CLUSTER["cluster"]["initdb"]["database"]: OWNER, DAGSTER_DATABASE: OWNER}
    dagster = values("dagster", "gpu-daemonset")["postgresql"]
    assert (dagster["postgresqlUsername"], dagster["postgresqlDatabase"]) == (OWNER, DAGSTER_DATABASE)

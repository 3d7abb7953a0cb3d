"""The database's schema: numbered migrations (yoyo), applied once, and the version check.

On the embedded server migrations run when the database is opened; anywhere else only
`starsearch migrate` runs them and everything else refuses a wrong version.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg

from resources.embedded_postgres import OWNER, SERVICE, TOOLS
from resources.errors import ConfigurationError, DatabaseUnavailable, SchemaVersionMismatch

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA = "starsearch"
_LOCK = 0x57A25EA2C4  # any constant: one migrating process at a time


def expected_version() -> str:
    """The id of the newest migration that this code knows."""
    return max(_expected())


def applied_migrations(connection: psycopg.Connection[tuple[object, ...]]) -> set[str]:
    """The ids of the migrations applied to this database."""
    found = connection.execute("SELECT to_regclass(%s)", [f"{SCHEMA}._yoyo_migration"]).fetchone()
    if found is None or found[0] is None:
        return set()
    return {str(row[0]) for row in connection.execute(f"SELECT migration_id FROM {SCHEMA}._yoyo_migration")}


def is_current(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether exactly the migrations of this code were applied."""
    return applied_migrations(connection) == _expected()


def check_version(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Refuse a schema that is not this code's.

    Raises:
        SchemaVersionMismatch: with both versions, what differs, and what to run.
    """
    expected, applied = _expected(), applied_migrations(connection)
    if applied == expected:
        return
    if missing := sorted(expected - applied):
        what = f" ({', '.join(missing)} missing)" if applied else ""
        remedy = "run `starsearch migrate` with the owner's DATABASE_URL"
    else:
        what, remedy = "", "the database was migrated by a newer StarSearch: upgrade this one"
    found = max(applied, default="none")
    raise SchemaVersionMismatch(
        f"The database's schema is at version {found}{what}, this StarSearch needs {max(expected)}: {remedy}."
    )


def _expected() -> set[str]:
    return {path.stem for path in MIGRATIONS.glob("*.sql")}


def migrate(url: str) -> list[str]:
    """Apply what is missing and return the ids of the migrations applied, oldest first.

    Several processes may call this at once: one works, the others wait and find nothing to do.

    Raises:
        DatabaseUnavailable: the server cannot be reached.
        ConfigurationError: the connecting role may not do what a migration needs.
    """
    import yoyo
    from yoyo.backends import get_backend_class
    from yoyo.connections import parse_uri

    try:
        with psycopg.connect(url, autocommit=True) as lock:
            lock.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            _prepare(lock)
            parsed = parse_uri(_yoyo_url(url))
            backend = get_backend_class(parsed.scheme)(parsed, "_yoyo_migration")
            with backend:
                # yoyo's own lock row would survive a SIGKILL; the advisory lock above does not.
                backend.init_database()
                pending = list(backend.to_apply(yoyo.read_migrations(str(MIGRATIONS))))
                for migration in pending:
                    # yoyo marks what it applied in a second transaction: killed in between, it would apply it again.
                    with backend.copy() as session, session.transaction():
                        migration.process_steps(session, "apply")
                        session.mark_one(migration)
            return [migration.id for migration in pending]
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"The role of DATABASE_URL may not do this: {error.diag.message_primary}. It must own the"
            f" database; the roles {SERVICE} and {TOOLS} and the extension `vector` must exist or it must"
            " be allowed to create them (docs/operations.md lists the statements for an administrator)."
        ) from error
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"PostgreSQL does not answer: {error}") from error


def _prepare(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    for role in (SERVICE, TOOLS):
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
            connection.execute(f"CREATE ROLE {role} LOGIN")
        member = connection.execute("SELECT pg_has_role(current_user, %s, 'MEMBER')", [role]).fetchone()
        user = connection.execute("SELECT current_user").fetchone()
        if user is not None and user[0] != OWNER and not (member and member[0]):
            connection.execute(f"GRANT {role} TO CURRENT_USER")
    if not connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone():
        connection.execute("CREATE EXTENSION vector")
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")


def _yoyo_url(url: str) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query)) | {"schema": f"{SCHEMA}, public"}
    return urlunsplit(("postgresql+psycopg", parts.netloc, parts.path, urlencode(query), ""))

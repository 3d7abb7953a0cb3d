"""Counts by stage: what `starsearch status` prints."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from psycopg import sql as pgsql

from resources.kinds import KINDS
from resources.postgres import Database
from starsearch_assets.polling.state import PollingState, polling_state


def read_status(database: Database) -> dict[str, Any]:
    """Rows by stage. Summaries and embeddings count items that have a current one, by kind.

    Of several embedding models the serving one counts.
    """
    with database.transaction() as connection:

        def count(query: str | pgsql.Composed, *parameters: object) -> int:
            row = connection.execute(query, parameters).fetchone()
            return int(row[0]) if row is not None and row[0] is not None else 0

        spaces = connection.execute(
            "SELECT kind, table_name FROM embedding_spaces LEFT JOIN embedding_models USING (model)"
            " ORDER BY serving NULLS FIRST, space_id"
        ).fetchall()
        vectors = {kind.name: 0 for kind in KINDS}
        for kind, table in spaces:
            vectors[kind] = count(pgsql.SQL("SELECT count(*) FROM {}").format(pgsql.Identifier(table)))
        active = connection.execute("SELECT release_id FROM active_release").fetchone()
        return {
            "events": count("SELECT count(*) FROM events"),
            "rejected": count("SELECT count(*) FROM rejected_events"),
            "deliveries": count("SELECT count(*) FROM deliveries"),
            "webhooks": dict(
                connection.execute(
                    "SELECT outcome, sum(count)::bigint FROM service.webhook_counts GROUP BY outcome ORDER BY outcome"
                ).fetchall()
            ),
            **{kind.table: count(f"SELECT count(*) FROM {kind.table}") for kind in KINDS},
            "summaries": {
                kind.name: count(
                    "SELECT count(*) FROM (SELECT DISTINCT ON (repo_id, ref) content_hash FROM item_contents"
                    " WHERE kind = %s ORDER BY repo_id, ref, seen_at DESC) newest"
                    " WHERE EXISTS (SELECT FROM summaries s WHERE s.content_hash = newest.content_hash)",
                    kind.name,
                )
                for kind in KINDS
                if kind.summarized
            },
            "embeddings": vectors,
            "release": active[0] if active is not None else None,
            **_polling(polling_state(database, datetime.now(UTC))),
        }


def _polling(state: PollingState) -> dict[str, Any]:
    """Nothing where nobody polls."""
    if not state.feeds:
        return {}
    last = None if state.last_poll is None else state.last_poll.isoformat(timespec="seconds")
    counts = {"all": state.feeds, "behind": state.behind, "failing": state.failing, "absent": state.absent}
    return {"feeds": counts, "gaps": len(state.gaps), "last poll": last}

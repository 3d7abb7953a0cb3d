"""Who writes rows of repositories and who forgets one never do it at the same time.

Otherwise a transaction that read before the forgetting and commits after it would leave rows behind.
"""

from resources.postgres import Connection

_LOCK = 0x57A25EA2C7  # any constant


def hold_off_forgetting(connection: Connection) -> None:
    """Until the transaction ends nobody forgets; call it first in it. Many may do so at once."""
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_LOCK])


def hold_off_writers(connection: Connection) -> None:
    """Wait for those who write, and until the transaction ends let none begin; call it first in it."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])

-- How looks at items ended; the newest look counts.
INSERT INTO hydrations (kind, fetched_at, run_id, repo_id, ref, status, reason, moved_repo_id, moved_ref)
SELECT %s, %s, %s, looks.*
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[])
     looks (repo_id, ref, status, reason, moved_repo_id, moved_ref)
ORDER BY looks.repo_id, looks.ref
ON CONFLICT (kind, repo_id, ref) DO UPDATE SET
    status = excluded.status, fetched_at = excluded.fetched_at, reason = excluded.reason,
    moved_repo_id = excluded.moved_repo_id, moved_ref = excluded.moved_ref, run_id = excluded.run_id
WHERE hydrations.fetched_at <= excluded.fetched_at

-- Items active on a day that GitHub has to be asked about: never seen through the API, not had the last time, or
-- changed since. Oldest question first, so that nothing waits for ever behind what keeps changing.
SELECT DISTINCT a.repo_id, split_part(r.name, '/', 1), split_part(r.name, '/', 2), a.ref::bigint, h.fetched_at
FROM activity a
JOIN repositories r USING (repo_id)
LEFT JOIN {table} i ON i.repo_id = a.repo_id AND i.number = a.ref::bigint
LEFT JOIN hydrations h ON h.kind = a.kind AND h.repo_id = a.repo_id AND h.ref = a.ref
WHERE a.kind = %(kind)s AND a.day = %(day)s AND i.gone_at IS NULL AND a.repo_id > 0 AND NOT r.synthetic
  AND (h.fetched_at IS NULL OR h.status = 'failed' OR h.fetched_at < i.last_active_at)
ORDER BY h.fetched_at NULLS FIRST, a.repo_id, a.ref::bigint

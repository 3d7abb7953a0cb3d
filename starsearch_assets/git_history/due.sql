-- Repositories to fetch, longest due first, and since when each is due: it was asked for, the first push after the
-- newest fetch was seen, or that fetch is old; after a failure not before its time. With `only`, these and no others.
SELECT g.repo_id, coalesce(r.name, ''), g.url, g.created_at, g.unfinished, d.since
FROM git_repositories g
LEFT JOIN repositories r USING (repo_id)
CROSS JOIN LATERAL (
    SELECT greatest(g.not_before, CASE
        WHEN g.fetched_at IS NULL OR g.requested_at > g.fetched_at THEN g.requested_at
        ELSE least(g.fetched_at + %(age)s,
                   (SELECT min(e.created_at) FROM events e
                    WHERE e.repo_id = g.repo_id AND e.created_at > g.fetched_at AND e.type = 'PushEvent'))
    END) AS since
) d
WHERE g.removed_at IS NULL
  AND NOT EXISTS (SELECT FROM tombstones t WHERE t.subject = 'repository' AND t.subject_id = g.repo_id)
  AND (d.since <= %(now)s OR %(only)s::bigint[] IS NOT NULL)
  AND (%(only)s::bigint[] IS NULL OR g.repo_id = ANY (%(only)s))
ORDER BY d.since, g.repo_id

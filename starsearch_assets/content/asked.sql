-- The repositories that an event of [start, end) names as one that was asked for, by its name or as one of an owner:
-- tracked from now on. Two joins, because each can be a hash join.
INSERT INTO repositories (repo_id, name)
SELECT DISTINCT ON (e.repo_id) e.repo_id, e.repo_name
FROM (
    SELECT e.repo_id, e.repo_name, e.created_at, e.event_id
    FROM events e JOIN repository_requests q ON lower(q.name) = lower(e.repo_name)
    WHERE e.created_at >= %(start)s AND e.created_at < %(end)s
    UNION ALL
    SELECT e.repo_id, e.repo_name, e.created_at, e.event_id
    FROM events e JOIN repository_requests q ON lower(q.name) = lower(split_part(e.repo_name, '/', 1)) || '/*'
    WHERE e.created_at >= %(start)s AND e.created_at < %(end)s
) e
WHERE NOT EXISTS (SELECT FROM tombstones t WHERE t.subject = 'repository' AND t.subject_id = e.repo_id)
ORDER BY e.repo_id, e.created_at DESC, e.event_id DESC
ON CONFLICT (repo_id) DO NOTHING
RETURNING repo_id

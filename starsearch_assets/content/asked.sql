-- The repositories that an event of [start, end) names as one that was asked for: tracked from now on.
INSERT INTO repositories (repo_id, name)
SELECT DISTINCT ON (e.repo_id) e.repo_id, e.repo_name
FROM events e JOIN repository_requests q ON lower(q.name) = lower(e.repo_name)
WHERE e.created_at >= %(start)s AND e.created_at < %(end)s
  AND NOT EXISTS (SELECT FROM tombstones t WHERE t.subject = 'repository' AND t.subject_id = e.repo_id)
ORDER BY e.repo_id, e.created_at DESC, e.event_id DESC
ON CONFLICT (repo_id) DO NOTHING
RETURNING repo_id

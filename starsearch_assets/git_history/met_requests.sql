-- Requests with a URL whose repository an event of [start, end) names: it is cloned from there. Where a name changed
-- hands it belongs to the newest bearer.
INSERT INTO git_repositories (repo_id, url)
SELECT repo_id, git_url FROM (
    SELECT DISTINCT ON (q.name) q.name, q.git_url, e.repo_id
    FROM events e JOIN repository_requests q ON lower(q.name) = lower(e.repo_name)
    WHERE q.git_url IS NOT NULL AND e.created_at >= %(start)s AND e.created_at < %(end)s
    ORDER BY q.name, e.created_at DESC, e.event_id DESC
) met
JOIN repositories USING (repo_id)
ON CONFLICT (repo_id) DO NOTHING

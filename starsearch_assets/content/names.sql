-- Names that tracked repositories bore on the day; an asked-for name becomes a tracked repository as
-- soon as an event carries it.
WITH asked AS (
    INSERT INTO repositories (repo_id, name)
    SELECT DISTINCT ON (e.repo_id) e.repo_id, e.repo_name
    FROM events e JOIN repository_requests q ON lower(q.name) = lower(e.repo_name)
    WHERE e.created_at >= %(start)s AND e.created_at < %(end)s
    ORDER BY e.repo_id, e.created_at DESC
    ON CONFLICT (repo_id) DO NOTHING
    RETURNING repo_id, name
)
DELETE FROM repository_requests q USING asked WHERE lower(q.name) = lower(asked.name);

INSERT INTO repository_names AS known (repo_id, name, first_seen, last_seen)
SELECT e.repo_id, e.repo_name, min(e.created_at), max(e.created_at)
FROM events e JOIN repositories USING (repo_id)
WHERE e.created_at >= %(start)s AND e.created_at < %(end)s
GROUP BY e.repo_id, e.repo_name
ORDER BY e.repo_id, e.repo_name
ON CONFLICT (repo_id, name) DO UPDATE SET
    first_seen = least(known.first_seen, excluded.first_seen),
    last_seen = greatest(known.last_seen, excluded.last_seen)
WHERE known.first_seen > excluded.first_seen OR known.last_seen < excluded.last_seen;

UPDATE repositories r SET name = newest.name
FROM (SELECT DISTINCT ON (repo_id) repo_id, name FROM repository_names ORDER BY repo_id, last_seen DESC, name) newest
WHERE newest.repo_id = r.repo_id AND newest.name <> r.name;

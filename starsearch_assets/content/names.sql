-- Names that tracked repositories bore on the day. Some events of 2013 do not tell the owner: "/name" is no name.
INSERT INTO repository_names AS known (repo_id, name, first_seen, last_seen)
SELECT e.repo_id, e.repo_name, min(e.created_at), max(e.created_at)
FROM events e JOIN repositories USING (repo_id)
WHERE e.created_at >= %(start)s AND e.created_at < %(end)s AND left(e.repo_name, 1) <> '/'
GROUP BY e.repo_id, e.repo_name
ORDER BY e.repo_id, e.repo_name
ON CONFLICT (repo_id, name) DO UPDATE SET
    first_seen = least(known.first_seen, excluded.first_seen),
    last_seen = greatest(known.last_seen, excluded.last_seen)
WHERE known.first_seen > excluded.first_seen OR known.last_seen < excluded.last_seen;

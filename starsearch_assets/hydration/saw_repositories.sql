-- Tracked repositories that the API showed at a moment, under their names of the moment.
UPDATE repositories r SET seen_at = greatest(r.seen_at, %(at)s),
    (hidden_as, hidden_since, hidden_at) = (NULL, NULL, NULL)
FROM (SELECT repo_id FROM repositories WHERE repo_id = ANY (%(ids)s::bigint[]) ORDER BY repo_id FOR UPDATE) seen
WHERE r.repo_id = seen.repo_id;

INSERT INTO repository_names AS known (repo_id, name, first_seen, last_seen)
SELECT repo_id, seen.name, %(at)s, %(at)s
FROM unnest(%(ids)s::bigint[], %(names)s::text[]) seen (repo_id, name) JOIN repositories USING (repo_id)
ORDER BY repo_id, seen.name
ON CONFLICT (repo_id, name) DO UPDATE SET first_seen = least(known.first_seen, excluded.first_seen),
    last_seen = greatest(known.last_seen, excluded.last_seen);

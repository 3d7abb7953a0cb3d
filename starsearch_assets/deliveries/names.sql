-- Names under which the deliveries of one chunk show tracked repositories.
INSERT INTO repository_names AS known (repo_id, name, first_seen, last_seen)
SELECT repo_id, repo_name, min(item_at), max(item_at)
FROM deliveries JOIN repositories USING (repo_id)
WHERE sha256 = ANY (%(stored)s) AND repo_name IS NOT NULL
GROUP BY repo_id, repo_name
ORDER BY repo_id, repo_name
ON CONFLICT (repo_id, name) DO UPDATE SET
    first_seen = least(known.first_seen, excluded.first_seen),
    last_seen = greatest(known.last_seen, excluded.last_seen)
WHERE known.first_seen > excluded.first_seen OR known.last_seen < excluded.last_seen

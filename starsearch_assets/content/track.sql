-- Track the repositories that GitHub showed: they are public (again), under their present names.
DELETE FROM tombstones WHERE subject = 'repository' AND subject_id IN (SELECT repo_id FROM shown);

INSERT INTO repositories AS known (repo_id, name, seen_at)
SELECT DISTINCT ON (repo_id) repo_id, name, %(now)s FROM shown ORDER BY repo_id, name DESC
ON CONFLICT (repo_id) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at;

INSERT INTO repository_names AS known (repo_id, name, first_seen, last_seen)
SELECT repo_id, name, %(now)s, %(now)s FROM shown ORDER BY repo_id, name
ON CONFLICT (repo_id, name) DO UPDATE SET last_seen = greatest(known.last_seen, excluded.last_seen);

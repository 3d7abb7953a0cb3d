-- The newest name of every tracked repository. Days are processed at the same time and in any order: one
-- after the other here, so that whoever comes last has seen the names of all.
SELECT pg_advisory_xact_lock(%(lock)s);

UPDATE repositories r SET name = newest.name
FROM (SELECT DISTINCT ON (repo_id) repo_id, name FROM repository_names ORDER BY repo_id, last_seen DESC, name) newest
WHERE newest.repo_id = r.repo_id AND newest.name <> r.name;

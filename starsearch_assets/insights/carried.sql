-- The repositories in which people did most on the day, and what each of their people did in the days up to it.
WITH busiest AS (
    SELECT repo_id, sum({total}) AS done FROM contributor_days
    WHERE day = %(day)s AND NOT is_bot AND person <> '' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(most)s
), people AS (
    SELECT d.repo_id, sum({total})::integer AS done FROM published.contributor_days d
    WHERE d.repo_id IN (SELECT repo_id FROM busiest) AND day <= %(day)s AND day > %(day)s::date - %(days)s
      AND NOT is_bot AND person <> '' GROUP BY d.repo_id, person
)
SELECT r.name, array_agg(p.done ORDER BY p.done DESC)
FROM people p JOIN busiest b USING (repo_id) JOIN repositories r USING (repo_id)
GROUP BY r.name, b.done, repo_id ORDER BY b.done DESC, repo_id

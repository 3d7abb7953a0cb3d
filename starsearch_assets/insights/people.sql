-- The day's contributions under each name, '' where nobody knows who; what stood there before and does not any more goes.
CREATE TEMPORARY TABLE counted ON COMMIT DROP AS
SELECT c.repo_id, coalesce(c.who, '') AS person, coalesce(bool_or(c.is_bot), false) AS is_bot, {counts}
FROM contributions c GROUP BY 1, 2;

CREATE TEMPORARY TABLE touched ON COMMIT DROP AS  -- who comes or goes
SELECT repo_id, person FROM counted c
FULL JOIN (SELECT repo_id, person FROM contributor_days WHERE day = %(day)s) d USING (repo_id, person)
WHERE c.repo_id IS NULL OR d.repo_id IS NULL;

DELETE FROM contributor_days d WHERE day = %(day)s
    AND NOT EXISTS (SELECT FROM counted c WHERE c.repo_id = d.repo_id AND c.person = d.person);

INSERT INTO contributor_days (day, repo_id, person, is_bot, {columns}, run_id)
SELECT %(day)s, repo_id, person, is_bot, {columns}, %(run_id)s FROM (  -- what already stands there is not written again
    SELECT repo_id, person, is_bot, {columns} FROM counted
    EXCEPT SELECT repo_id, person, is_bot, {columns} FROM contributor_days WHERE day = %(day)s) changed
ORDER BY repo_id, person
ON CONFLICT (repo_id, day, person) DO UPDATE
SET (is_bot, {columns}, run_id) = (excluded.is_bot, {excluded}, excluded.run_id);

DELETE FROM first_contributions f USING touched t WHERE f.repo_id = t.repo_id AND f.person = t.person
    AND NOT EXISTS (SELECT FROM contributor_days d WHERE d.repo_id = t.repo_id AND d.person = t.person);

INSERT INTO first_contributions AS known (repo_id, person, day)
SELECT d.repo_id, d.person, min(d.day) FROM contributor_days d JOIN touched USING (repo_id, person)
WHERE d.person <> '' GROUP BY 1, 2
ON CONFLICT (repo_id, person) DO UPDATE SET day = excluded.day WHERE known.day <> excluded.day;

INSERT INTO counted_days (day, run_id) VALUES (%(day)s, %(run_id)s) ON CONFLICT DO NOTHING;

-- Repositories whose people, merged as readers see them, do not add up to what was counted on the day.
WITH counted AS (
    SELECT repo_id, sum({total}) AS done FROM contributor_days WHERE day = %s GROUP BY 1
), shared AS (
    SELECT d.repo_id, person, sum({total}) / counted.done::float8 AS share
    FROM published.contributor_days d JOIN counted USING (repo_id) WHERE day = %s AND done > 0
    GROUP BY d.repo_id, person, counted.done
)
SELECT r.name, sum(share) FROM shared JOIN repositories r USING (repo_id)
GROUP BY 1 HAVING abs(sum(share) - 1) > 1e-9 ORDER BY 1;

-- How many vectors the day and the days before it have, and the cosine of their means. Of the days before, the newest
-- vectors count, so that the work has a bound; one item once.
WITH day AS (
    SELECT avg(embedding) AS mean, count(*) AS vectors FROM judged_vectors WHERE dimensions = {dimensions}
), earlier AS (
    SELECT repo_id, ref FROM (
        SELECT repo_id, ref, day FROM activity
        WHERE kind = {kind} AND day < {day} AND day >= {day} - {days}::integer ORDER BY day DESC LIMIT {most}
    ) newest GROUP BY repo_id, ref
), before AS (
    SELECT avg(v.embedding) AS mean, count(*) AS vectors FROM earlier JOIN {vectors} v USING (repo_id, ref)
    WHERE vector_dims(v.embedding) = {dimensions}
)
SELECT day.vectors, before.vectors, 1 - (day.mean <=> before.mean) FROM day, before

-- What tracked repositories saw on [start, end): the day's contributions by everybody, and stars, forks and pushes. How
-- long people waited is as the content tables know it by now.
CREATE TEMPORARY TABLE seen ON COMMIT DROP AS
WITH done AS (
    SELECT DISTINCT repo_id, what, ref FROM contributions  -- a commit stands there once for each of its authors
    UNION ALL
    SELECT repo_id, CASE type WHEN 'WatchEvent' THEN 'stars' WHEN 'ForkEvent' THEN 'forks' ELSE 'pushes' END,
           event_id::text
    FROM events JOIN repositories USING (repo_id)
    WHERE created_at >= %(start)s AND created_at < %(end)s AND type IN ('WatchEvent', 'ForkEvent', 'PushEvent')
), answers AS (
    SELECT i.repo_id, count(*)::integer AS answered,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY greatest(extract(epoch FROM first.at - i.created_at), 0)) AS seconds
    FROM activity a JOIN items i USING (kind, repo_id, ref) CROSS JOIN LATERAL (
        SELECT min(c.created_at) AS at FROM comments c
        WHERE c.kind = i.kind AND c.repo_id = i.repo_id AND c.ref = i.ref AND NOT c.deleted AND NOT c.author_is_bot
          AND lower(c.author_login) <> lower(i.author_login)) first
    WHERE a.day = %(day)s AND a.kind IN ('pull_request', 'issue') AND first.at >= %(start)s AND first.at < %(end)s
    GROUP BY 1
), merges AS (
    SELECT c.repo_id,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM p.merged_at - p.created_at)) AS seconds
    FROM contributions c JOIN pull_requests p ON p.repo_id = c.repo_id
         AND p.number = CASE WHEN c.ref ~ '^[0-9]{{1,18}}$' THEN c.ref::bigint END
    WHERE c.what = 'pull_requests_merged' AND p.merged_at >= p.created_at GROUP BY 1
), counted AS (
    SELECT repo_id, {counts} FROM done c GROUP BY 1
)
SELECT repo_id, {columns}, coalesce(answered, 0) AS answered, a.seconds::integer AS answer_seconds,
       m.seconds::integer AS merge_seconds
FROM counted LEFT JOIN answers a USING (repo_id) LEFT JOIN merges m USING (repo_id);

DELETE FROM repository_days d WHERE day = %(day)s AND NOT EXISTS (SELECT FROM seen s WHERE s.repo_id = d.repo_id);

INSERT INTO repository_days AS known (day, repo_id, {every}, run_id)
SELECT %(day)s, repo_id, {every}, %(run_id)s FROM seen ORDER BY repo_id
ON CONFLICT (repo_id, day) DO UPDATE SET ({every}, run_id) = ({excluded}, excluded.run_id)
WHERE ({known}) IS DISTINCT FROM ({excluded});

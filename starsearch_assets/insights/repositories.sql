-- What tracked repositories saw on the day: its contributions by everybody, stars, forks and pushes.
CREATE TEMPORARY TABLE seen ON COMMIT DROP AS
WITH events AS (
    SELECT repo_id, (count(*) FILTER (WHERE type = 'WatchEvent'))::integer AS stars,
           (count(*) FILTER (WHERE type = 'ForkEvent'))::integer AS forks,
           (count(*) FILTER (WHERE type = 'PushEvent'))::integer AS pushes,
           (count(*) FILTER (WHERE type = 'PushEvent' AND branch IN ('main', 'master')))::integer AS main_pushes
    FROM told WHERE on_day AND type IN ('WatchEvent', 'ForkEvent', 'PushEvent') GROUP BY 1
), people AS (
    SELECT repo_id, {sums} FROM contributor_days WHERE day = %(day)s GROUP BY 1
), git AS (  -- of several authors a commit counts for each, and once for the repository
    SELECT repo_id, count(*)::integer AS commits FROM published.commits WHERE day = %(day)s AND NOT is_merge GROUP BY 1
)
SELECT repo_id, {or_0}
FROM (SELECT repo_id FROM events UNION SELECT repo_id FROM people UNION SELECT repo_id FROM git) every
LEFT JOIN events e USING (repo_id) LEFT JOIN people c USING (repo_id) LEFT JOIN git g USING (repo_id);

DELETE FROM repository_days d WHERE day = %(day)s AND NOT EXISTS (SELECT FROM seen s WHERE s.repo_id = d.repo_id);

INSERT INTO repository_days (day, repo_id, {columns}, run_id)
SELECT %(day)s, repo_id, {columns}, %(run_id)s FROM (  -- what already stands there is not written again
    SELECT repo_id, {columns} FROM seen EXCEPT SELECT repo_id, {columns} FROM repository_days WHERE day = %(day)s) changed
ORDER BY repo_id
ON CONFLICT (repo_id, day) DO UPDATE SET ({columns}, run_id) = ({excluded}, excluded.run_id);

-- What ended waiting on the day, as the content tables know it by now.
CREATE TEMPORARY TABLE waited ON COMMIT DROP AS
SELECT i.repo_id, i.kind || '_answer' AS what, i.ref,
       greatest(extract(epoch FROM first.at - i.created_at), 0)::bigint AS seconds
FROM activity a JOIN items i USING (kind, repo_id, ref) CROSS JOIN LATERAL (
    SELECT min(c.created_at) AS at FROM comments c
    WHERE c.kind = i.kind AND c.repo_id = i.repo_id AND c.ref = i.ref AND NOT c.deleted AND NOT c.author_is_bot
      AND lower(c.author_login) <> lower(i.author_login)) first
WHERE a.day = %(day)s AND a.kind IN ('pull_request', 'issue') AND first.at >= %(start)s AND first.at < %(end)s
  AND i.created_at IS NOT NULL
UNION ALL
SELECT p.repo_id, 'merge', a.ref, extract(epoch FROM p.merged_at - p.created_at)::bigint
FROM activity a JOIN pull_requests p ON p.repo_id = a.repo_id
     AND p.number = CASE WHEN a.ref ~ '^[0-9]{{1,18}}$' THEN a.ref::bigint END
WHERE a.day = %(day)s AND a.kind = 'pull_request' AND p.merged_at >= %(start)s AND p.merged_at < %(end)s
  AND p.merged_at >= p.created_at;

DELETE FROM waits w WHERE day = %(day)s AND NOT EXISTS (
    SELECT FROM waited n WHERE n.repo_id = w.repo_id AND n.what = w.what AND n.ref = w.ref);

INSERT INTO waits (day, repo_id, what, ref, seconds)
SELECT %(day)s, * FROM (SELECT repo_id, what, ref, seconds FROM waited
                        EXCEPT SELECT repo_id, what, ref, seconds FROM waits WHERE day = %(day)s) changed
ON CONFLICT (repo_id, what, day, ref) DO UPDATE SET seconds = excluded.seconds;

INSERT INTO first_interests AS known (repo_id, person, what, day)
SELECT DISTINCT repo_id, person, CASE type WHEN 'WatchEvent' THEN 'star' ELSE 'fork' END, %(day)s::date
FROM told WHERE on_day AND type IN ('WatchEvent', 'ForkEvent') AND person IS NOT NULL AND NOT published.is_bot_name(person)
ON CONFLICT (repo_id, what, person) DO UPDATE SET day = excluded.day WHERE excluded.day < known.day;

CREATE TEMPORARY TABLE unreviewed ON COMMIT DROP AS
SELECT repo_id, created_at AS pushed_at, event_id, person, published.is_bot_name(person) AS is_bot, branch,
       coalesce(head, '') AS head
FROM told p WHERE on_day AND type = 'PushEvent' AND branch IN ('main', 'master') AND person IS NOT NULL AND NOT EXISTS (
    SELECT FROM told m WHERE m.is_merge AND m.repo_id = p.repo_id AND m.branch = p.branch
        AND m.created_at BETWEEN p.created_at - INTERVAL '1 minute' AND p.created_at + INTERVAL '1 minute');

DELETE FROM unreviewed_pushes u WHERE day = %(day)s AND NOT EXISTS (
    SELECT FROM unreviewed n WHERE n.repo_id = u.repo_id AND n.pushed_at = u.pushed_at AND n.event_id = u.event_id);

INSERT INTO unreviewed_pushes (day, repo_id, pushed_at, event_id, person, is_bot, branch, head)
SELECT %(day)s, * FROM (
    SELECT repo_id, pushed_at, event_id, person, is_bot, branch, head FROM unreviewed
    EXCEPT SELECT repo_id, pushed_at, event_id, person, is_bot, branch, head FROM unreviewed_pushes WHERE day = %(day)s
) changed
ON CONFLICT (repo_id, day, pushed_at, event_id) DO UPDATE
SET (person, is_bot, branch, head) = (excluded.person, excluded.is_bot, excluded.branch, excluded.head);

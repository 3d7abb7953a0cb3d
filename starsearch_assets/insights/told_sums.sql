-- What `told` tells of the day by itself, beside what was counted: sums, and in how many repositories it is less.
WITH told_by AS (
    SELECT repo_id,
           count(DISTINCT ref) FILTER (WHERE type = 'PullRequestEvent' AND action = 'opened') AS pull_requests_opened,
           count(DISTINCT ref) FILTER (WHERE type = 'IssuesEvent' AND action = 'opened' AND NOT is_other) AS issues_opened,
           count(DISTINCT ref) FILTER (WHERE type = 'IssueCommentEvent' AND action = 'created') AS comments,
           count(*) FILTER (WHERE type = 'WatchEvent') AS stars,
           count(*) FILTER (WHERE type = 'PushEvent') AS pushes
    FROM told WHERE on_day GROUP BY 1
), compared AS (
    SELECT what, told, coalesce(counted, 0) AS counted
    FROM told_by t LEFT JOIN repository_days d ON d.repo_id = t.repo_id AND d.day = %s
    CROSS JOIN LATERAL (VALUES
        ('pull requests opened', t.pull_requests_opened, d.pull_requests_opened),
        ('issues opened', t.issues_opened, d.issues_opened),
        ('comments', t.comments, d.comments),
        ('stars', t.stars, d.stars),
        ('pushes', t.pushes, d.pushes)) AS pair (what, told, counted)
)
SELECT what, sum(told)::bigint, sum(counted)::bigint, count(*) FILTER (WHERE counted < told)
FROM compared GROUP BY 1 ORDER BY 1;

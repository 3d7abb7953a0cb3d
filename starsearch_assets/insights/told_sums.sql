-- What `told` tells of the day by itself, beside what was counted: sums, and in how many repositories it is less.
WITH each AS (  -- a thing that is told more than once counts once; stars and pushes have no ref, and count as told
    SELECT repo_id, type, action, is_other, ref, count(*) AS times FROM told WHERE on_day GROUP BY 1, 2, 3, 4, 5
), told_by AS (
    SELECT repo_id,
           count(ref) FILTER (WHERE type = 'PullRequestEvent' AND action = 'opened') AS pull_requests_opened,
           count(ref) FILTER (WHERE type = 'IssuesEvent' AND action = 'opened' AND NOT is_other) AS issues_opened,
           count(ref) FILTER (WHERE type = 'IssueCommentEvent' AND action = 'created') AS comments,
           coalesce(sum(times) FILTER (WHERE type = 'WatchEvent'), 0) AS stars,
           coalesce(sum(times) FILTER (WHERE type = 'PushEvent'), 0) AS pushes
    FROM each GROUP BY 1
), summed AS (
    SELECT {sums} FROM told_by t LEFT JOIN repository_days d ON d.repo_id = t.repo_id AND d.day = %s
)
SELECT what, told, counted, less FROM summed CROSS JOIN LATERAL (VALUES {each}) AS one (what, told, counted, less)
ORDER BY 1;

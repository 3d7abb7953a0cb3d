-- What the events of [start, end) alone tell, counted from their types and actions, beside what was counted of it.
SELECT told.what, sum(told.times)::integer AS told, coalesce(max(counted.times), 0)::integer AS counted
FROM (
    SELECT 'pull_requests_opened' AS what, count(DISTINCT (repo_id, payload #> '{pull_request,number}')) AS times
    FROM events JOIN repositories USING (repo_id) WHERE created_at >= %(start)s AND created_at < %(end)s
        AND type = 'PullRequestEvent' AND payload @> '{"action": "opened"}'
        AND jsonb_typeof(payload #> '{pull_request,number}') = 'number'
    UNION ALL
    SELECT 'issues_opened', count(DISTINCT (repo_id, payload #> '{issue,number}'))
    FROM events JOIN repositories USING (repo_id) WHERE created_at >= %(start)s AND created_at < %(end)s
        AND type = 'IssuesEvent' AND payload @> '{"action": "opened"}' AND NOT payload -> 'issue' ? 'pull_request'
        AND jsonb_typeof(payload #> '{issue,number}') = 'number'
    UNION ALL
    SELECT 'comments', count(DISTINCT (repo_id, payload #> '{comment,id}'))
    FROM events JOIN repositories USING (repo_id) WHERE created_at >= %(start)s AND created_at < %(end)s
        AND type = 'IssueCommentEvent' AND payload @> '{"action": "created"}'
        AND jsonb_typeof(payload #> '{comment,id}') = 'number'
    UNION ALL
    SELECT 'stars', count(*)
    FROM events JOIN repositories USING (repo_id) WHERE created_at >= %(start)s AND created_at < %(end)s
        AND type = 'WatchEvent'
) told LEFT JOIN (
    SELECT seen.what, sum(seen.times) AS times
    FROM repository_days d CROSS JOIN LATERAL (VALUES
        ('pull_requests_opened', d.pull_requests_opened), ('issues_opened', d.issues_opened), ('comments', d.comments),
        ('stars', d.stars)) seen (what, times)
    WHERE d.day = %(day)s GROUP BY 1
) counted USING (what)
GROUP BY 1 ORDER BY 1;

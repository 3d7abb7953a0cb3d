-- Each hour's capture: of the items that tracked repositories got in it, the share whose opening an event told.
UPDATE ingest_ledger l SET capture_rate = hour.share
FROM (
    SELECT date_trunc('hour', i.created_at) AS hour,
           avg(EXISTS (SELECT FROM events e
                       WHERE e.repo_id = i.repo_id AND e.created_at >= %(start)s AND e.created_at < %(end)s
                         AND e.type = i.event_type AND e.payload ->> 'action' = 'opened'
                         AND coalesce(e.payload #>> '{pull_request,number}', e.payload #>> '{issue,number}')
                             = i.number::text)::integer) AS share
    FROM (SELECT repo_id, number, created_at, 'PullRequestEvent' AS event_type FROM pull_requests
          WHERE created_at >= %(start)s AND created_at < %(end)s AND last_active_at IS NOT NULL
          UNION ALL
          SELECT repo_id, number, created_at, 'IssuesEvent' FROM issues
          WHERE created_at >= %(start)s AND created_at < %(end)s AND last_active_at IS NOT NULL) i
    JOIN repositories r USING (repo_id)
    WHERE NOT r.synthetic
    GROUP BY 1
) hour
WHERE l.hour = hour.hour AND l.status = 'loaded'

-- Which items of the day's events are known, of the repositories at hand.
SELECT DISTINCT e.repo_id,
       CASE WHEN jsonb_typeof(e.payload -> 'pull_request') = 'object'
              OR jsonb_typeof(e.payload #> '{issue,pull_request}') = 'object' THEN 'pull_request'
            WHEN e.type = 'ReleaseEvent' THEN 'release' ELSE 'issue' END,
       coalesce(e.payload #>> '{pull_request,number}', e.payload #>> '{issue,number}',
                e.payload #>> '{release,tag_name}')
FROM events e
WHERE e.repo_id = ANY (%(repo_ids)s) AND e.created_at >= %(start)s AND e.created_at < %(end)s
  AND e.type = ANY (%(event_types)s)

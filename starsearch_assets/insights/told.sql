-- What the events of [start, end) alone tell of tracked repositories, counted in one pass by their types and actions.
SELECT count(DISTINCT (repo_id, payload #> '{pull_request,number}')) FILTER (
           WHERE type = 'PullRequestEvent' AND payload ->> 'action' = 'opened'
             AND jsonb_typeof(payload #> '{pull_request,number}') = 'number') AS pull_requests_opened,
       count(DISTINCT (repo_id, payload #> '{issue,number}')) FILTER (
           WHERE type = 'IssuesEvent' AND payload ->> 'action' = 'opened' AND NOT payload -> 'issue' ? 'pull_request'
             AND jsonb_typeof(payload #> '{issue,number}') = 'number') AS issues_opened,
       count(DISTINCT (repo_id, payload #> '{comment,id}')) FILTER (
           WHERE type = 'IssueCommentEvent' AND payload ->> 'action' = 'created'
             AND jsonb_typeof(payload #> '{comment,id}') = 'number') AS comments,
       count(*) FILTER (WHERE type = 'WatchEvent') AS stars
FROM events JOIN repositories USING (repo_id)
WHERE created_at >= %(start)s AND created_at < %(end)s
  AND type IN ('PullRequestEvent', 'IssuesEvent', 'IssueCommentEvent', 'WatchEvent');

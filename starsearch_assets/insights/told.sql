-- One pass over the events of [start, end), and a minute on both sides of it for merges beside pushes: what tracked
-- repositories saw that nobody works on (stars, forks, pushes), and what else the events alone tell, for the check.
CREATE TEMPORARY TABLE told ON COMMIT DROP AS
SELECT repo_id, type, created_at, event_id, '@' || lower(left(actor_login, 255)) AS person,
       CASE WHEN type IN ('PullRequestEvent', 'IssuesEvent', 'IssueCommentEvent') THEN payload ->> 'action' END AS action,
       CASE type WHEN 'PullRequestEvent' THEN payload #>> '{pull_request,number}'
                 WHEN 'IssuesEvent' THEN payload #>> '{issue,number}'
                 WHEN 'IssueCommentEvent' THEN payload #>> '{comment,id}' END AS ref,
       CASE type WHEN 'PushEvent' THEN CASE WHEN starts_with(payload ->> 'ref', 'refs/heads/') THEN substr(payload ->> 'ref', 12)
                                      ELSE payload ->> 'ref' END
                 WHEN 'PullRequestEvent' THEN payload #>> '{pull_request,base,ref}' END AS branch,
       CASE type WHEN 'PushEvent' THEN left(payload ->> 'head', 64) END AS head,
       type = 'IssuesEvent' AND payload -> 'issue' ? 'pull_request' AS is_other,
       type = 'PullRequestEvent' AND (payload ->> 'action' = 'merged' OR payload ->> 'action' = 'closed' AND (
           payload #>> '{pull_request,merged}' = 'true' OR payload #>> '{pull_request,merged_at}' IS NOT NULL)) AS is_merge,
       created_at >= %(start)s AND created_at < %(end)s AS on_day
FROM events JOIN repositories USING (repo_id)
WHERE created_at >= %(start)s::timestamptz - INTERVAL '1 minute' AND created_at < %(end)s::timestamptz + INTERVAL '1 minute'
  AND type IN ('WatchEvent', 'ForkEvent', 'PushEvent', 'PullRequestEvent', 'IssuesEvent', 'IssueCommentEvent');

-- What the events and the webhook deliveries of [start, end) say about pull requests and issues of tracked
-- repositories, one row an event and one or two a delivery. A group of fields that is not carried is NULL, with its
-- *_known flag false. An issue payload with `pull_request` in it is about a pull request. What is not of its type (a
-- number that is a fraction, a time that is none) counts as absent: one odd event must not stop a day.
CREATE TEMPORARY TABLE observed ON COMMIT DROP AS
WITH seen AS (
    SELECT repo_id, created_at AS observed_at, created_at AS active_at, event_id, type, actor_login, payload
    FROM events WHERE created_at >= %(start)s AND created_at < %(end)s AND type = ANY (%(event_types)s)
    UNION ALL
    SELECT repo_id, observed_at, active_at, event_id, type, actor_login, payload
    FROM delivered WHERE told_at >= %(start)s AND told_at < %(end)s AND type = ANY (%(event_types)s)
), told AS (
    SELECT e.repo_id, e.observed_at, e.active_at, e.event_id, e.type, e.actor_login,
           e.payload ->> 'action' AS action,
           e.payload -> CASE WHEN jsonb_typeof(e.payload -> 'pull_request') = 'object'
                             THEN 'pull_request' ELSE 'issue' END AS item,
           e.payload -> CASE WHEN jsonb_typeof(e.payload -> 'comment') = 'object'
                             THEN 'comment' ELSE 'review' END AS said,
           CASE WHEN jsonb_typeof(e.payload -> 'pull_request') = 'object'
                  OR jsonb_typeof(e.payload #> '{issue,pull_request}') = 'object'
                THEN 'pull_request' ELSE 'issue' END AS kind
    FROM seen e JOIN repositories USING (repo_id)
)
SELECT repo_id, observed_at, active_at, event_id, type, actor_login, action, said,
       (item ->> 'number')::bigint AS number,
       item ->> 'title' IS NOT NULL AS text_known,
       item ->> 'title' AS title,
       item ->> 'body' AS body,
       -- The author: of a fat payload its user; of a slim one whoever opened it.
       left(CASE WHEN item #>> '{user,login}' IS NOT NULL THEN item #>> '{user,login}'
                 WHEN type IN ('PullRequestEvent', 'IssuesEvent') AND action = 'opened' THEN actor_login
            END, 255) AS author_login,
       coalesce(item #>> '{user,type}' = 'Bot', false) AS author_typed_bot,
       CASE WHEN pg_input_is_valid(item ->> 'created_at', 'timestamptz') THEN (item ->> 'created_at')::timestamptz
            WHEN type IN ('PullRequestEvent', 'IssuesEvent') AND action = 'opened' THEN observed_at
       END AS created_at,
       CASE WHEN item ->> 'state' IN ('open', 'closed') THEN item ->> 'state'
            WHEN type IN ('PullRequestEvent', 'IssuesEvent') AND action IN ('closed', 'merged') THEN 'closed'
            WHEN type IN ('PullRequestEvent', 'IssuesEvent') AND action IN ('opened', 'reopened') THEN 'open'
       END AS state,
       CASE WHEN item ->> 'state' IN ('open', 'closed') THEN
                CASE WHEN pg_input_is_valid(item ->> 'closed_at', 'timestamptz')
                     THEN (item ->> 'closed_at')::timestamptz END
            WHEN type IN ('PullRequestEvent', 'IssuesEvent') AND action IN ('closed', 'merged') THEN observed_at
       END AS closed_at,
       CASE WHEN pg_input_is_valid(item ->> 'merged_at', 'timestamptz') THEN (item ->> 'merged_at')::timestamptz
            WHEN pg_input_is_valid(item #>> '{pull_request,merged_at}', 'timestamptz')
            THEN (item #>> '{pull_request,merged_at}')::timestamptz
            WHEN type = 'PullRequestEvent' AND action = 'merged' THEN observed_at
       END AS merged_at,
       CASE WHEN item #>> '{merged_by,login}' IS NOT NULL THEN item #>> '{merged_by,login}'
            WHEN type = 'PullRequestEvent' AND action = 'merged' THEN actor_login
       END AS merged_by,
       CASE WHEN jsonb_typeof(item -> 'labels') = 'array' THEN
            ARRAY (SELECT label ->> 'name' FROM jsonb_array_elements(item -> 'labels') label ORDER BY 1)
       END AS labels
FROM told
WHERE kind = %(kind)s AND jsonb_typeof(item -> 'number') = 'number' AND item ->> 'number' ~ '^[0-9]{1,18}$';

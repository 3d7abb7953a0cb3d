-- What the events, the webhook deliveries and the commits of [start, end) say that people did in tracked repositories: one
-- row a thing that was done, however often it was told. A pull request or issue that ended counts for its author. who:
-- @login in lower case, or a name; NULL: not known yet, as of the ends of what began before anything was read.
CREATE TEMPORARY TABLE contributions ON COMMIT DROP AS
WITH seen AS MATERIALIZED (  -- before anything is taken out of a payload
    SELECT repo_id, type, actor_login, payload FROM events JOIN repositories USING (repo_id)
    WHERE created_at >= %(start)s AND created_at < %(end)s AND type = ANY (%(types)s)
    UNION ALL
    SELECT repo_id, type, actor_login, payload FROM delivered JOIN repositories USING (repo_id)
    WHERE told_at >= %(start)s AND told_at < %(end)s AND type = ANY (%(types)s)
), named AS (
    SELECT repo_id, type, actor_login, payload ->> 'action' AS action,
           CASE type WHEN 'PullRequestEvent' THEN payload -> 'pull_request'
                     WHEN 'IssuesEvent' THEN payload -> 'issue'
                     WHEN 'ReleaseEvent' THEN payload -> 'release'
                     WHEN 'PullRequestReviewEvent' THEN payload -> 'review'
                     ELSE payload -> 'comment' END AS thing,
           payload ->> 'comment_id' AS comment_id  -- all that a comment of before 2015 tells of itself
    FROM seen
), done AS (
    SELECT repo_id, actor_login, thing,
           CASE WHEN type = 'PullRequestEvent' THEN
                    CASE WHEN action = 'opened' THEN 'pull_requests_opened'
                         WHEN action = 'merged' OR action = 'closed' AND (
                              thing ->> 'merged' = 'true' OR thing ->> 'merged_at' IS NOT NULL)
                         THEN 'pull_requests_merged'
                         WHEN action = 'closed' THEN 'pull_requests_closed' END
                WHEN type = 'IssuesEvent' AND thing -> 'pull_request' IS NULL THEN
                    CASE action WHEN 'opened' THEN 'issues_opened' WHEN 'closed' THEN 'issues_closed' END
                WHEN type = 'PullRequestReviewEvent' AND action IN ('created', 'submitted') THEN 'reviews'
                WHEN type = 'PullRequestReviewCommentEvent' AND coalesce(action, 'created') = 'created' THEN 'review_comments'
                WHEN type = 'IssueCommentEvent' AND coalesce(action, 'created') = 'created' THEN 'comments'
                WHEN type = 'ReleaseEvent' AND action = 'published' THEN 'releases' END AS what,
           left(CASE WHEN type IN ('PullRequestEvent', 'IssuesEvent') THEN thing ->> 'number'
                     WHEN type = 'ReleaseEvent' THEN thing ->> 'tag_name'
                     ELSE coalesce(thing ->> 'id', comment_id) END, 2000) AS ref
    FROM named
), told AS (
    SELECT d.repo_id, d.what, d.ref,
           coalesce(d.thing #>> '{user,login}', d.thing #>> '{author,login}',
                    CASE WHEN d.what IN ('pull_requests_merged', 'pull_requests_closed') THEN p.author_login
                         WHEN d.what = 'issues_closed' THEN i.author_login
                         ELSE d.actor_login END) AS login,
           coalesce(d.thing #>> '{user,type}' = 'Bot' OR d.thing #>> '{author,type}' = 'Bot',
                    p.author_is_bot, i.author_is_bot, false) AS is_bot
    FROM done d
    LEFT JOIN pull_requests p ON d.what IN ('pull_requests_merged', 'pull_requests_closed')
         AND p.repo_id = d.repo_id AND p.number = CASE WHEN d.ref ~ '^[0-9]{1,18}$' THEN d.ref::bigint END
    LEFT JOIN issues i ON d.what = 'issues_closed'
         AND i.repo_id = d.repo_id AND i.number = CASE WHEN d.ref ~ '^[0-9]{1,18}$' THEN d.ref::bigint END
    WHERE d.what IS NOT NULL AND d.ref IS NOT NULL
)
SELECT repo_id, what, ref, '@' || lower(left(min(login), 255)) AS who,
       bool_or(is_bot) OR coalesce(published.is_bot_name(min(login)), false) AS is_bot
FROM told t
WHERE what <> 'pull_requests_closed' OR NOT EXISTS (  -- a merge can be told both ways
    SELECT FROM told m WHERE m.what = 'pull_requests_merged' AND m.repo_id = t.repo_id AND m.ref = t.ref)
GROUP BY 1, 2, 3
UNION ALL
SELECT DISTINCT repo_id, 'commits', sha, person, is_bot OR coalesce(published.is_bot_name(person), false)
FROM published.commit_contributors WHERE day = %(day)s AND NOT is_merge;

-- Issue comments, reviews and review comments that said something; the newest observation wins.
INSERT INTO comments AS known
    (repo_id, source, comment_id, kind, ref, author_login, author_is_bot, body, created_at,
     observed_at, event_id, deleted)
SELECT DISTINCT ON (repo_id, source, comment_id) *
FROM (
    SELECT repo_id,
           CASE type WHEN 'IssueCommentEvent' THEN 'comment'
                     WHEN 'PullRequestReviewEvent' THEN 'review'
                     ELSE 'review_comment' END AS source,
           (said ->> 'id')::bigint AS comment_id, %(kind)s AS kind, {ref}::text AS ref,
           coalesce(said #>> '{{user,login}}', actor_login) AS author_login,
           coalesce(said #>> '{{user,type}}' = 'Bot'
                    OR coalesce(said #>> '{{user,login}}', actor_login) LIKE '%%[bot]', false) AS author_is_bot,
           left(coalesce(said ->> 'body', ''), 4000) AS body,
           coalesce((said ->> 'created_at')::timestamptz, (said ->> 'submitted_at')::timestamptz, observed_at) AS created_at,
           observed_at, event_id, action = 'deleted' AS deleted
    FROM observed WHERE jsonb_typeof(said -> 'id') = 'number'
) told
ORDER BY repo_id, source, comment_id, observed_at DESC, event_id DESC
ON CONFLICT (repo_id, source, comment_id) DO UPDATE SET
    body = excluded.body, deleted = excluded.deleted, author_login = excluded.author_login,
    author_is_bot = excluded.author_is_bot, kind = excluded.kind, ref = excluded.ref,
    observed_at = excluded.observed_at, event_id = excluded.event_id
WHERE (known.observed_at, known.event_id) < (excluded.observed_at, excluded.event_id);

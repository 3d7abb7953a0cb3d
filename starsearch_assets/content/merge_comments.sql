-- Issue comments, reviews and review comments: the newest observation wins, the earliest time stays. The body
-- is a group of its own: an observation without one, as all before 2015 are, leaves it as it is.
INSERT INTO comments AS known
    (repo_id, source, comment_id, kind, ref, author_login, author_is_bot, body, body_observed_at, body_event,
     created_at, observed_at, event_id, deleted)
SELECT DISTINCT ON (repo_id, source, comment_id)
       repo_id, source, comment_id, %(kind)s, ref, author_login,
       coalesce(typed_bot, false) OR coalesce(author_login LIKE '%%[bot]', false),
       coalesce(first_value(body) OVER newest_body, ''),
       CASE WHEN first_value(body) OVER newest_body IS NOT NULL THEN first_value(observed_at) OVER newest_body END,
       CASE WHEN first_value(body) OVER newest_body IS NOT NULL THEN first_value(event_id) OVER newest_body END,
       min(told_at) OVER (PARTITION BY repo_id, source, comment_id), observed_at, event_id, deleted
FROM (
    SELECT repo_id,
           CASE type WHEN 'IssueCommentEvent' THEN 'comment'
                     WHEN 'PullRequestReviewEvent' THEN 'review'
                     ELSE 'review_comment' END AS source,
           (said ->> 'id')::bigint AS comment_id, {ref}::text AS ref,
           left(coalesce(said #>> '{{user,login}}', actor_login), 255) AS author_login,
           said #>> '{{user,type}}' = 'Bot' AS typed_bot,
           left(said ->> 'body', 4000) AS body,
           CASE WHEN pg_input_is_valid(said ->> 'created_at', 'timestamptz') THEN (said ->> 'created_at')::timestamptz
                WHEN pg_input_is_valid(said ->> 'submitted_at', 'timestamptz')
                THEN (said ->> 'submitted_at')::timestamptz
                ELSE observed_at END AS told_at,
           observed_at, event_id, coalesce(action = 'deleted', false) AS deleted
    FROM observed WHERE jsonb_typeof(said -> 'id') = 'number' AND said ->> 'id' ~ '^[0-9]{{1,18}}$'
) told
WINDOW newest_body AS (PARTITION BY repo_id, source, comment_id
                       ORDER BY body IS NULL, observed_at DESC, event_id DESC)
ORDER BY repo_id, source, comment_id, observed_at DESC, event_id DESC
ON CONFLICT (repo_id, source, comment_id) DO UPDATE SET
    (kind, ref, author_login, author_is_bot, deleted, observed_at, event_id) = (
        SELECT kind, ref, author_login, author_is_bot, deleted, observed_at, event_id
        FROM (VALUES (known.kind, known.ref, known.author_login, known.author_is_bot, known.deleted,
                      known.observed_at, known.event_id),
                     (excluded.kind, excluded.ref, excluded.author_login, excluded.author_is_bot,
                      excluded.deleted, excluded.observed_at, excluded.event_id))
             seen (kind, ref, author_login, author_is_bot, deleted, observed_at, event_id)
        ORDER BY observed_at DESC, event_id DESC LIMIT 1),
    (body, body_observed_at, body_event) = (
        SELECT body, body_observed_at, body_event
        FROM (VALUES (known.body, known.body_observed_at, known.body_event),
                     (excluded.body, excluded.body_observed_at, excluded.body_event))
             seen (body, body_observed_at, body_event)
        ORDER BY body_observed_at DESC NULLS LAST, body_event DESC NULLS LAST LIMIT 1),
    created_at = least(known.created_at, excluded.created_at)
WHERE (known.observed_at, known.event_id) < (excluded.observed_at, excluded.event_id)
   OR known.created_at > excluded.created_at
   OR (excluded.body_observed_at IS NOT NULL
       AND (known.body_observed_at IS NULL
            OR (known.body_observed_at, known.body_event) < (excluded.body_observed_at, excluded.body_event)));

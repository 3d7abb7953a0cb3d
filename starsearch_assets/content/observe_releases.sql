-- What the events and the webhook deliveries of [start, end) say about releases of tracked repositories, one row
-- each; a delivery that a release is no more tells nothing new of it. A time that is none counts as absent; a tag too
-- long for a key (a B-tree's ends at 2,704 bytes) is left out.
CREATE TEMPORARY TABLE observed ON COMMIT DROP AS
SELECT e.repo_id, e.observed_at, e.event_id, e.type, e.actor_login,
       e.payload ->> 'action' AS action,
       NULL::jsonb AS said,
       e.payload #>> '{release,tag_name}' AS tag,
       e.payload #>> '{release,name}' AS title,
       e.payload #>> '{release,body}' AS body,
       left(coalesce(e.payload #>> '{release,author,login}', e.actor_login), 255) AS author_login,
       coalesce(e.payload #>> '{release,author,type}' = 'Bot', false) AS author_typed_bot,
       CASE WHEN pg_input_is_valid(e.payload #>> '{release,created_at}', 'timestamptz')
            THEN (e.payload #>> '{release,created_at}')::timestamptz END AS created_at,
       CASE WHEN pg_input_is_valid(e.payload #>> '{release,published_at}', 'timestamptz')
            THEN (e.payload #>> '{release,published_at}')::timestamptz END AS published_at,
       coalesce(e.payload #>> '{release,prerelease}' = 'true', false) AS prerelease
FROM (
    SELECT repo_id, created_at AS observed_at, event_id, type, actor_login, payload
    FROM events WHERE created_at >= %(start)s AND created_at < %(end)s AND type = ANY (%(event_types)s)
    UNION ALL
    SELECT repo_id, observed_at, event_id, type, actor_login, payload
    FROM delivered WHERE told_at >= %(start)s AND told_at < %(end)s AND type = ANY (%(event_types)s)
        AND coalesce(payload ->> 'action', '') NOT IN ('deleted', 'unpublished')
) e JOIN repositories USING (repo_id)
WHERE octet_length(e.payload #>> '{release,tag_name}') <= 2000
  AND e.payload #>> '{release,draft}' IS DISTINCT FROM 'true';

-- What the events of [start, end) say about releases of tracked repositories, one row an event. A time
-- that is none counts as absent; a tag too long for a key (a B-tree's ends at 2,704 bytes) is left out.
CREATE TEMPORARY TABLE observed ON COMMIT DROP AS
SELECT e.repo_id, e.created_at AS observed_at, e.event_id, e.type, e.actor_login,
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
FROM events e JOIN repositories USING (repo_id)
WHERE e.created_at >= %(start)s AND e.created_at < %(end)s
  AND e.type = ANY (%(event_types)s)
  AND octet_length(e.payload #>> '{release,tag_name}') <= 2000
  AND e.payload #>> '{release,draft}' IS DISTINCT FROM 'true';

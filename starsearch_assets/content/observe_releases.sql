-- What the events of [start, end) say about releases of tracked repositories, one row an event.
CREATE TEMPORARY TABLE observed ON COMMIT DROP AS
SELECT e.repo_id, e.created_at AS observed_at, e.event_id, e.type, e.actor_login,
       e.payload ->> 'action' AS action,
       NULL::jsonb AS said,
       e.payload #>> '{release,tag_name}' AS tag,
       e.payload #>> '{release,name}' AS title,
       e.payload #>> '{release,body}' AS body,
       coalesce(e.payload #>> '{release,author,login}', e.actor_login) AS author_login,
       coalesce(e.payload #>> '{release,author,type}' = 'Bot', false) AS author_typed_bot,
       (e.payload #>> '{release,created_at}')::timestamptz AS created_at,
       (e.payload #>> '{release,published_at}')::timestamptz AS published_at,
       coalesce((e.payload #>> '{release,prerelease}')::boolean, false) AS prerelease
FROM events e JOIN repositories USING (repo_id)
WHERE e.created_at >= %(start)s AND e.created_at < %(end)s
  AND e.type = ANY (%(event_types)s)
  AND e.payload #>> '{release,tag_name}' IS NOT NULL
  AND coalesce((e.payload #>> '{release,draft}')::boolean, false) IS FALSE;

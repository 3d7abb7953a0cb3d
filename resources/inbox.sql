-- Append what is new, and ask for the hour in which it came. In order: writers that share rows lock them alike.
WITH arrived AS (
    SELECT DISTINCT ON (source, sha256) source, sha256, body, headers, repo_id
    FROM (SELECT source, sha256(body) AS sha256, body, headers, repo_id
          FROM unnest(%(sources)s::text[], %(bodies)b::bytea[], %(headers)s::jsonb[], %(repo_ids)s::bigint[])
               AS told (source, body, headers, repo_id)) hashed
    ORDER BY source, sha256
), new AS (
    INSERT INTO service.inbox (source, sha256, body, headers, repo_id)
    SELECT source, sha256, body, headers, repo_id FROM arrived
    ON CONFLICT (source, sha256) DO NOTHING
    RETURNING source, received_at
), asked AS (
    INSERT INTO service.inbox_hours (source, hour)
    SELECT DISTINCT source, date_trunc('hour', received_at, 'UTC') AS hour FROM new ORDER BY 1, 2
    ON CONFLICT (source, hour) DO UPDATE SET version = nextval('service.inbox_version')
)
SELECT count(*) FROM new

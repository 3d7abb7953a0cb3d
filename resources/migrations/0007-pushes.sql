-- Pushes in one shape, whichever of the three that GitHub has had; and when the text of a comment was seen.
-- depends: 0006-sources

-- A comment's events before 2015 carry no text: its body has a time and an event of its own.
ALTER TABLE comments ADD COLUMN body_observed_at timestamptz, ADD COLUMN body_event bigint;
UPDATE comments SET body_observed_at = observed_at, body_event = event_id WHERE body <> '';

-- commits: [{sha, message, author (a name), distinct}, …], at most 20 of `size`; NULL where the push does not
-- list them, as since 2025-10-07, when `size` is unknown, too. Before 2015 pushes do not tell `before`.
CREATE VIEW pushes AS
SELECT e.created_at, e.event_id, e.repo_id, e.actor_login,
       e.payload ->> 'ref' AS ref, e.payload ->> 'before' AS before, e.payload ->> 'head' AS head,
       CASE WHEN e.payload ->> 'size' ~ '^[0-9]{1,9}$' THEN (e.payload ->> 'size')::integer END AS size,
       CASE WHEN jsonb_typeof(e.payload -> 'commits') = 'array' THEN (
                SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'sha', c -> 'sha', 'message', c -> 'message', 'author', c #> '{author,name}',
                    'distinct', c -> 'distinct') ORDER BY place), '[]')
                FROM jsonb_array_elements(e.payload -> 'commits') WITH ORDINALITY told (c, place))
            WHEN jsonb_typeof(e.payload -> 'shas') = 'array' THEN (
                SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'sha', c -> 0, 'message', c -> 2, 'author', c -> 3, 'distinct', c -> 4) ORDER BY place), '[]')
                FROM jsonb_array_elements(e.payload -> 'shas') WITH ORDINALITY told (c, place))
       END AS commits
FROM events e WHERE e.type = 'PushEvent';

CREATE VIEW published.pushes AS SELECT * FROM pushes;
GRANT SELECT ON published.pushes TO starsearch_tools;

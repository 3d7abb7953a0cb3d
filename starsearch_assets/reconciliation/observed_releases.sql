-- Releases that GitHub lists, in the shape in which events are observed.
CREATE TEMPORARY TABLE observed (
    repo_id bigint, observed_at timestamptz, event_id bigint, type text, actor_login text, action text, said jsonb,
    tag text, title text, body text, author_login text, author_typed_bot boolean, created_at timestamptz,
    published_at timestamptz, prerelease boolean
) ON COMMIT DROP

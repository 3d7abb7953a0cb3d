-- Observations of the API, in the shape in which events are observed.
CREATE TEMPORARY TABLE observed (
    repo_id bigint, number bigint, observed_at timestamptz, active_at timestamptz, event_id bigint, type text,
    actor_login text, action text, said jsonb, text_known boolean, title text, body text, author_login text,
    author_typed_bot boolean, created_at timestamptz, state text, closed_at timestamptz, merged_at timestamptz,
    merged_by text, labels text[], files text[], files_total integer,
    commit_headlines text[], commits_total integer
) ON COMMIT DROP

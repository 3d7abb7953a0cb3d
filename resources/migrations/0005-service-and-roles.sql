-- The service's own schema, the views that tools read, and who may do what.
-- depends: 0004-releases

CREATE SCHEMA service;
CREATE TABLE service.answers (
    answer_id  uuid PRIMARY KEY,
    question   text NOT NULL,
    answer     text NOT NULL,
    mode       text NOT NULL CHECK (mode IN ('extractive', 'llm', 'degraded')),
    abstained  boolean NOT NULL,
    release_id integer,
    coverage   jsonb NOT NULL,
    citations  jsonb NOT NULL,
    trace      jsonb NOT NULL,     -- citation n -> where it came from, copied so that it outlives the logs
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE SCHEMA artifacts;
CREATE SCHEMA published;
CREATE VIEW published.items AS SELECT * FROM items;
CREATE VIEW published.comments AS SELECT * FROM comments WHERE NOT deleted;
CREATE VIEW published.activity AS SELECT * FROM activity;
CREATE VIEW published.repositories AS SELECT repo_id, name, tracked_at FROM repositories;
CREATE VIEW published.repository_names AS SELECT * FROM repository_names;
CREATE VIEW published.embedding_spaces AS SELECT * FROM embedding_spaces;
CREATE VIEW published.superseded AS SELECT * FROM superseded;
CREATE VIEW published.search_releases AS
    SELECT s.*, s.release_id IS NOT DISTINCT FROM a.release_id AND a.release_id IS NOT NULL AS active
    FROM search_releases s CROSS JOIN active_release a;
CREATE VIEW published.release_artifacts AS
    SELECT ra.release_id, ia.artifact_id, ia.space_id, es.kind, es.model, es.dimensions,
           ia.month, ia.version, ia.table_name, ia.row_count, ia.run_id
    FROM release_artifacts ra JOIN index_artifacts ia USING (artifact_id) JOIN embedding_spaces es USING (space_id);
CREATE VIEW published.summaries AS SELECT content_hash, model, prompt_version, extractive, run_id, created_at FROM summaries;
CREATE VIEW published.item_events AS
    SELECT e.created_at, e.event_id, e.type, e.repo_id, e.actor_login, l.url AS source_url, l.sha256 AS source_sha256, l.run_id
    FROM events e JOIN ingest_ledger l USING (source_id);

GRANT USAGE ON SCHEMA published, artifacts TO starsearch_tools;
GRANT SELECT ON ALL TABLES IN SCHEMA published TO starsearch_tools;
ALTER DEFAULT PRIVILEGES IN SCHEMA published GRANT SELECT ON TABLES TO starsearch_tools;
ALTER DEFAULT PRIVILEGES IN SCHEMA artifacts GRANT SELECT ON TABLES TO starsearch_tools;

GRANT USAGE ON SCHEMA service TO starsearch_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA service TO starsearch_service;
ALTER DEFAULT PRIVILEGES IN SCHEMA service GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO starsearch_service;
GRANT USAGE ON SCHEMA published TO starsearch_service;
GRANT SELECT ON published.search_releases TO starsearch_service;

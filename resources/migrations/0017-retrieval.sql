-- Embedding models beside each other, full text beside vectors, and how relevant what is found is.
-- depends: 0016-summaries

-- A model that spaces are filled with. source: the bundled model's name or the folder of one that runs in this process;
-- with a base_url the name that the server knows it by. api_key_variable: the environment variable with the key; the
-- key itself is never stored. serving: its spaces are what new releases are made of.
CREATE TABLE embedding_models (
    model      text PRIMARY KEY,
    source     text NOT NULL,
    base_url   text,
    api_key_variable text,
    dimensions integer NOT NULL,
    serving    boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX embedding_models_serving ON embedding_models (serving) WHERE serving;
INSERT INTO embedding_models (model, source, dimensions, serving)
    SELECT s.model, s.model, max(s.dimensions),
           coalesce(s.model = (SELECT e.model FROM active_release JOIN release_artifacts USING (release_id)
                               JOIN index_artifacts USING (artifact_id) JOIN embedding_spaces e USING (space_id) LIMIT 1), false)
    FROM embedding_spaces s GROUP BY s.model;

-- m, ef_construction: of the HNSW indexes that are built from now on.
ALTER TABLE embedding_spaces
    ADD COLUMN m integer NOT NULL DEFAULT 16 CHECK (m BETWEEN 2 AND 100),
    ADD COLUMN ef_construction integer NOT NULL DEFAULT 64,
    ADD CHECK (ef_construction BETWEEN 2 * m AND 1000);

-- The verdict that lets a day of vectors into the index is one of a space, under the name of its table.
INSERT INTO audits (asset, partition, check_name, data_version, passed, details, run_id, audited_at)
    SELECT a.asset, a.partition, s.table_name, a.data_version, a.passed, a.details, a.run_id, a.audited_at
    FROM audits a JOIN embedding_spaces s ON a.asset = s.kind || '_embeddings' AND a.details ->> 'model' = s.model
    WHERE a.check_name = '';

-- The words by which an item is found: those of its title weigh most, then those of its document, then its own text.
CREATE FUNCTION document_lexemes(document text, own text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setweight(to_tsvector('pg_catalog.english', split_part(document, E'\n', 1)), 'A')
        || setweight(to_tsvector('pg_catalog.english', substr(document, length(split_part(document, E'\n', 1)) + 1)), 'B')
        || setweight(to_tsvector('pg_catalog.english', coalesce(own, '')), 'D')
$$;

-- What is stored gets the columns; artifacts get them empty, as they are never written again, and are built anew.
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT table_name FROM embedding_spaces LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN lexemes tsvector NOT NULL DEFAULT ''''', name);
        EXECUTE format('UPDATE %I SET lexemes = document_lexemes(document, NULL)', name);
    END LOOP;
    FOR name IN SELECT table_name FROM index_artifacts LOOP
        EXECUTE format('ALTER TABLE artifacts.%I ADD COLUMN technologies text[] NOT NULL DEFAULT ''{}'','
                       ' ADD COLUMN lexemes tsvector NOT NULL DEFAULT ''''', name);
    END LOOP;
END $$;
INSERT INTO dirty_months (kind, month)
    SELECT DISTINCT kind, month FROM index_artifacts JOIN embedding_spaces USING (space_id)
    ON CONFLICT (kind, month) DO UPDATE SET version = nextval('dirty_version');

-- How well a release finds what people judged relevant. mode: vector, text, hybrid or reranked. queries: of the set,
-- those with a relevant item in the release. set_version: digest of the set. Kept when the release is not.
CREATE TABLE relevance (
    release_id  integer NOT NULL,
    query_set   text NOT NULL,
    set_version text NOT NULL,
    mode        text NOT NULL,
    model       text NOT NULL,
    queries     integer NOT NULL,
    "recall@10" real NOT NULL,
    mrr         real NOT NULL,
    "ndcg@10"   real NOT NULL,
    run_id      text,
    measured_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (release_id, query_set, mode)
);

CREATE VIEW published.embedding_models AS
    SELECT model, source, regexp_replace(base_url, '//[^/]*@', '//') AS base_url, api_key_variable, dimensions, serving,
           created_at
    FROM embedding_models;
CREATE OR REPLACE VIEW published.embedding_spaces AS SELECT * FROM embedding_spaces;
CREATE VIEW published.relevance AS SELECT * FROM relevance;

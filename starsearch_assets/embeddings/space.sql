-- The vectors of one embedding space, one row an item. Only `*_index` reads it, and only audited days.
CREATE TABLE IF NOT EXISTS starsearch.{table} (
    repo_id      bigint NOT NULL,
    ref          text NOT NULL,
    text_hash    bytea NOT NULL,
    document     text NOT NULL,
    document_source text NOT NULL,
    lexemes      tsvector NOT NULL,
    content_hash bytea,
    summary_model  text,
    prompt_version text,
    embedding    halfvec({dimensions}) NOT NULL,
    run_id       text,
    embedded_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (repo_id, ref)
);
CREATE INDEX IF NOT EXISTS {text_index} ON starsearch.{table} (text_hash);

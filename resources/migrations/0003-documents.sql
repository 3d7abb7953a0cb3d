-- What was made of the content: summaries, documents, embedding spaces, audits.
-- depends: 0002-content

-- Paid for once: the same content, model and prompt never ask the LLM again.
CREATE TABLE summaries (
    content_hash   bytea NOT NULL,
    model          text NOT NULL,
    prompt_version text NOT NULL,
    extractive     boolean NOT NULL,
    summary        text NOT NULL,
    tokens_in      integer NOT NULL DEFAULT 0,
    tokens_out     integer NOT NULL DEFAULT 0,
    run_id         text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (content_hash, model, prompt_version)
);

CREATE TABLE summary_failures (
    content_hash   bytea NOT NULL,
    model          text NOT NULL,
    prompt_version text NOT NULL,
    kind           text NOT NULL,
    repo_id        bigint NOT NULL,
    ref            text NOT NULL,
    reason         text NOT NULL,
    run_id         text,
    failed_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (content_hash, model, prompt_version)
);

-- The contents an item has had; the one seen last is its current one.
CREATE TABLE item_contents (
    kind         text NOT NULL,
    repo_id      bigint NOT NULL,
    ref          text NOT NULL,
    content_hash bytea NOT NULL,
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    run_id       text,
    PRIMARY KEY (kind, repo_id, ref, content_hash)
);

-- (kind, model, dimensions): each has a table of vectors of its own.
CREATE TABLE embedding_spaces (
    space_id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL,
    model      text NOT NULL,
    dimensions integer NOT NULL CHECK (dimensions BETWEEN 1 AND 4000),
    table_name text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (kind, model, dimensions)
);

-- The newest verdict on (asset, partition) decides whether anything downstream reads it.
CREATE TABLE audits (
    asset        text NOT NULL,
    partition    text NOT NULL,
    data_version text NOT NULL,
    passed       boolean NOT NULL,
    details      jsonb NOT NULL,
    run_id       text,
    audited_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (asset, partition, data_version)
);
CREATE VIEW newest_audits AS
    SELECT DISTINCT ON (asset, partition) asset, partition, data_version, passed, details, run_id, audited_at
    FROM audits ORDER BY asset, partition, audited_at DESC;

-- What summaries tell beside their text, what is known of their quality, and what they cost.
-- depends: 0015-commit-headlines

-- change_type: as answering.change_types names it. technologies: names of the vocabulary; other_technologies: names that
-- the model gave and the vocabulary lacks. flags: what the quality rules of quality_version found; withheld: one of
-- them keeps the summary from being served. similarity: cosine to its source; NULL: not measured.
ALTER TABLE summaries
    ADD COLUMN change_type text,
    ADD COLUMN technologies text[] NOT NULL DEFAULT '{}',
    ADD COLUMN other_technologies text[] NOT NULL DEFAULT '{}',
    ADD COLUMN components text[] NOT NULL DEFAULT '{}',
    ADD COLUMN user_visible boolean,
    ADD COLUMN flags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN withheld boolean NOT NULL DEFAULT false,
    ADD COLUMN quality_version smallint NOT NULL DEFAULT 0,
    ADD COLUMN similarity real;

-- Runs that tried in vain; what failed too often is not asked for again.
ALTER TABLE summary_failures ADD COLUMN attempts integer NOT NULL DEFAULT 1;

-- What each run asked of an LLM for a partition, counted in the transactions that store what came of it. requests:
-- sent; retries: of them, sent again after an error of the server; seconds: in flight. cost: US dollars at the prices
-- that were set; NULL: none were. items: summaries that came of it; failed: contents without one.
CREATE TABLE llm_usage (
    run_id         text NOT NULL,           -- '' outside of Dagster
    asset          text NOT NULL,
    partition      text NOT NULL,
    model          text NOT NULL,
    prompt_version text NOT NULL,
    items          integer NOT NULL DEFAULT 0,
    failed         integer NOT NULL DEFAULT 0,
    requests       integer NOT NULL DEFAULT 0,
    retries        integer NOT NULL DEFAULT 0,
    tokens_in      bigint NOT NULL DEFAULT 0,
    tokens_out     bigint NOT NULL DEFAULT 0,
    seconds        double precision NOT NULL DEFAULT 0,
    cost           double precision,
    started_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, asset, partition, model, prompt_version)
);
CREATE INDEX ON llm_usage (updated_at);

-- Several checks may judge a partition of an asset. check_name '': the asset's only one.
ALTER TABLE audits ADD COLUMN check_name text NOT NULL DEFAULT '';
ALTER TABLE audits DROP CONSTRAINT audits_pkey, ADD PRIMARY KEY (asset, partition, check_name, data_version);
CREATE OR REPLACE VIEW newest_audits AS
    SELECT DISTINCT ON (asset, partition, check_name)
           asset, partition, data_version, passed, details, run_id, audited_at, check_name
    FROM audits ORDER BY asset, partition, check_name, audited_at DESC;

CREATE OR REPLACE VIEW published.summaries AS
    SELECT content_hash, model, prompt_version, extractive, run_id, created_at, change_type, technologies, components,
           user_visible
    FROM summaries;

-- Fill an artifact's empty table with the month's rows, unless they have the known fingerprint; number and fingerprint.
-- One statement, so that the fingerprint is of exactly these rows. Vectors, documents and lexemes count by the hash of
-- the text that they are of.
WITH source AS MATERIALIZED ({source}),
hashed AS (
    SELECT hash_record_extended(ROW(repo_id, ref, title, author_login, author_is_bot, state, labels, technologies,
        created_at, activity_day, document_source, text_hash, content_hash, summary_model, prompt_version), 0) AS hash
    FROM source
),
found AS (
    SELECT count(*) AS rows, encode(sha256(convert_to({header}, 'UTF8')
        || coalesce(string_agg(int8send(hash), ''::bytea ORDER BY hash), '')), 'hex') AS fingerprint
    FROM hashed
),
added AS (
    INSERT INTO {table} SELECT * FROM source WHERE (SELECT fingerprint IS DISTINCT FROM {known} FROM found)
)
SELECT rows, fingerprint FROM found

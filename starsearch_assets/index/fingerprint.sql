-- Number and digest of the rows, vectors and lexemes by the hash of the text that they are of.
SELECT count(*), sha256(coalesce(string_agg(sha256(convert_to(concat_ws('|', repo_id, ref, title, author_login,
    author_is_bot, state, labels::text, technologies::text, created_at, activity_day, document_source,
    encode(text_hash, 'hex'), encode(content_hash, 'hex'), summary_model, prompt_version), 'UTF8')), ''::bytea
    ORDER BY repo_id, ref), ''))
FROM {rows} counted

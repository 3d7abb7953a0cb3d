-- The documents that a day should have vectors of, as they were read (table `expected`), each with what the space holds
-- of it: whether it is there, of that text, of the right shape, and made of the summary that its row names.
CREATE TEMPORARY TABLE judged_vectors ON COMMIT DROP AS
SELECT coalesce(r.name, '') AS repo, r.name || CASE {kind} WHEN 'release' THEN '@' ELSE '#' END || e.ref AS item, e.repo_id, e.ref,
       v.text_hash, v.document, v.embedding,
       v.repo_id IS NULL AS missing, md5(halfvec_send(v.embedding)) AS fingerprint,
       v.text_hash <> e.text_hash AND v.embedded_at < {read_at} AS outdated,
       vector_dims(v.embedding) AS dimensions, l2_norm(v.embedding) AS norm,
       sha256(convert_to(v.document, 'UTF8')) <> v.text_hash AS of_another_text,
       v.document_source <> 'source' AND (
           s.summary IS NULL OR s.withheld OR right(v.document, length(s.summary) + 1) <> E'\n' || s.summary
       ) AS of_another_summary
FROM expected e
LEFT JOIN {vectors} v USING (repo_id, ref)
LEFT JOIN repositories r ON r.repo_id = e.repo_id
LEFT JOIN summaries s ON s.content_hash = v.content_hash AND s.model = v.summary_model
                     AND s.prompt_version = v.prompt_version

-- Rows of the index artifact of one month: items whose latest activity lies in it and whose latest day
-- passed the audit of its vectors. Labels and technologies in lower case, as filters compare them. In the order in which
-- rows are stored: a repository's lie together, and in it each author's.
SELECT v.repo_id, v.ref, i.title, i.url_path, i.author_login, i.author_is_bot, i.state,
       lower(coalesce(i.labels, '{{}}')::text)::text[] AS labels,
       lower(coalesce(s.technologies, '{{}}')::text)::text[] AS technologies, i.created_at,
       latest.day AS activity_day, v.document, v.document_source, v.text_hash, v.content_hash, v.summary_model,
       v.prompt_version, v.run_id AS vector_run_id, v.lexemes, v.embedding
FROM (
    SELECT a.repo_id, a.ref, max(a.day) AS day
    FROM activity a
    WHERE a.kind = {kind} AND a.day >= {month} AND a.day < {month} + INTERVAL '1 month'
      AND NOT EXISTS (SELECT FROM activity later WHERE later.kind = a.kind AND later.repo_id = a.repo_id
                      AND later.ref = a.ref AND later.day >= {month} + INTERVAL '1 month')
    GROUP BY a.repo_id, a.ref
) latest
JOIN newest_audits audit ON audit.asset = {embeddings} AND audit.check_name = {gate}
                         AND audit.partition = latest.day::text AND audit.passed
JOIN {vectors} v USING (repo_id, ref)
JOIN items i ON i.kind = {kind} AND i.repo_id = v.repo_id AND i.ref = v.ref
LEFT JOIN summaries s ON s.content_hash = v.content_hash AND s.model = v.summary_model
                     AND s.prompt_version = v.prompt_version
ORDER BY v.repo_id, lower(i.author_login), v.ref

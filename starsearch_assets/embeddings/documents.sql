-- The served document of every item with text that was active on a day: the newest available of current
-- summary, previous summary, extractive, source text (raw: the reader cleans it). Withheld summaries are not available.
SELECT i.repo_id, i.ref, i.title, coalesce(best.summary, i.body, '') AS text,
       coalesce(best.source, 'source') AS document_source,
       CASE WHEN best.source IS NOT NULL THEN left(i.body, 20000) END AS own_text,
       best.content_hash, best.model, best.prompt_version
FROM activity a
JOIN items i USING (kind, repo_id, ref)
LEFT JOIN LATERAL (
    SELECT s.summary, s.content_hash, s.model, s.prompt_version,
           CASE WHEN s.extractive THEN 'extractive'
                WHEN c.seen_at = max(c.seen_at) OVER () AND s.model = %(model)s AND s.prompt_version = %(prompt_version)s
                THEN 'summary' ELSE 'previous_summary' END AS source
    FROM item_contents c LEFT JOIN summaries s ON s.content_hash = c.content_hash AND NOT s.withheld
    WHERE c.kind = i.kind AND c.repo_id = i.repo_id AND c.ref = i.ref
    ORDER BY s.summary IS NULL, s.extractive, c.seen_at DESC,
             (s.model = %(model)s AND s.prompt_version = %(prompt_version)s) DESC, s.created_at DESC
    LIMIT 1
) best ON best.summary IS NOT NULL
WHERE a.kind = %(kind)s AND a.day = %(day)s AND i.hydrated_at IS NOT NULL
ORDER BY i.repo_id, i.ref

-- The items with text that were active on a day, each with its current summary and what is known of it, or with the
-- reason why it has none.
CREATE TEMPORARY TABLE judged ON COMMIT DROP AS
SELECT i.repo || CASE i.kind WHEN 'release' THEN '@' ELSE '#' END || i.ref AS item, c.content_hash,
       s.content_hash IS NOT NULL AS summarized, s.extractive, s.flags, coalesce(s.withheld, false) AS withheld,
       s.quality_version, s.similarity, f.reason
FROM activity a
JOIN items i USING (kind, repo_id, ref)
LEFT JOIN LATERAL (
    SELECT content_hash FROM item_contents c
    WHERE c.kind = a.kind AND c.repo_id = a.repo_id AND c.ref = a.ref ORDER BY c.seen_at DESC LIMIT 1
) c ON true
LEFT JOIN summaries s ON s.content_hash = c.content_hash AND s.model = %(model)s AND s.prompt_version = %(prompt_version)s
LEFT JOIN summary_failures f
       ON f.content_hash = c.content_hash AND f.model = %(model)s AND f.prompt_version = %(prompt_version)s
WHERE a.kind = %(kind)s AND a.day = %(day)s AND i.hydrated_at IS NOT NULL

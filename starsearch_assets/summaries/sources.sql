-- Source texts of the items active on a day that have text: title, body, and what people said, oldest first.
SELECT i.repo_id, i.ref, i.title, coalesce(i.body, ''), coalesce(i.labels, '{}'),
       ARRAY (SELECT c.body FROM comments c
              WHERE c.kind = i.kind AND c.repo_id = i.repo_id AND c.ref = i.ref
                AND NOT c.deleted AND NOT c.author_is_bot AND c.body <> ''
              ORDER BY c.created_at, c.source, c.comment_id LIMIT 12)
FROM activity a JOIN items i USING (kind, repo_id, ref)
WHERE a.kind = %(kind)s AND a.day = %(day)s AND i.hydrated_at IS NOT NULL
-- {chosen}
ORDER BY i.repo_id, i.ref

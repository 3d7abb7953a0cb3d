-- Source texts of the items active on a day that have text: title, body, labels, changed files, commit headlines, and
-- what people said: the first 12 comments and the first 12 of reviews and their comments, oldest first. The first, not
-- the newest: a fortieth comment is not worth another summary.
WITH active AS (
    SELECT a.kind, a.repo_id, a.ref FROM activity a
    WHERE a.kind = %(kind)s AND a.day = %(day)s
    -- {chosen}
),
said AS (
    SELECT repo_id, ref, array_agg(body ORDER BY n) FILTER (WHERE review) AS reviews,
           array_agg(body ORDER BY n) FILTER (WHERE NOT review) AS comments
    FROM (SELECT c.repo_id, c.ref, c.body, c.source <> 'comment' AS review,
                 row_number() OVER (PARTITION BY c.repo_id, c.ref, c.source <> 'comment'
                                    ORDER BY c.created_at, c.source, c.comment_id) AS n
          FROM comments c JOIN active USING (kind, repo_id, ref)
          WHERE NOT c.deleted AND NOT c.author_is_bot AND c.body <> '') told
    WHERE n <= 12
    GROUP BY repo_id, ref
)
SELECT i.repo_id, i.ref, i.title, coalesce(i.body, ''), coalesce(i.labels, '{}'),
       coalesce(p.files, '{}'), coalesce(p.files_total, 0), coalesce(p.commit_headlines, '{}'),
       coalesce(said.reviews, '{}'), coalesce(said.comments, '{}')
FROM active JOIN items i USING (kind, repo_id, ref)
LEFT JOIN pull_requests p ON i.kind = 'pull_request' AND p.repo_id = i.repo_id AND p.number::text = i.ref
LEFT JOIN said ON said.repo_id = i.repo_id AND said.ref = i.ref
WHERE i.hydrated_at IS NOT NULL
ORDER BY i.repo_id, i.ref

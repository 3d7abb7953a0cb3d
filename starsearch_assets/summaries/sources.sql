-- Source texts of the items active on a day that have text: title, body, labels, changed files, commit headlines, and
-- what people said: the first 12 comments and the first 12 of reviews and their comments, oldest first. The first, not
-- the newest: a fortieth comment is not worth another summary.
SELECT i.repo_id, i.ref, i.title, coalesce(i.body, ''), coalesce(i.labels, '{}'),
       coalesce(p.files, '{}'), coalesce(p.files_total, 0), coalesce(p.commit_headlines, '{}'),
       coalesce(said.reviews, '{}'), coalesce(said.comments, '{}')
FROM activity a JOIN items i USING (kind, repo_id, ref)
LEFT JOIN pull_requests p ON i.kind = 'pull_request' AND p.repo_id = i.repo_id AND p.number::text = i.ref
LEFT JOIN LATERAL (
    SELECT array_agg(c.body ORDER BY c.created_at, c.source, c.comment_id) FILTER (WHERE c.review) AS reviews,
           array_agg(c.body ORDER BY c.created_at, c.source, c.comment_id) FILTER (WHERE NOT c.review) AS comments
    FROM (SELECT o.body, o.created_at, o.source, o.comment_id, o.source <> 'comment' AS review,
                 row_number() OVER (PARTITION BY o.source <> 'comment'
                                    ORDER BY o.created_at, o.source, o.comment_id) AS n
          FROM comments o
          WHERE o.kind = i.kind AND o.repo_id = i.repo_id AND o.ref = i.ref
            AND NOT o.deleted AND NOT o.author_is_bot AND o.body <> '') c
    WHERE c.n <= 12
) said ON true
WHERE a.kind = %(kind)s AND a.day = %(day)s AND i.hydrated_at IS NOT NULL
-- {chosen}
ORDER BY i.repo_id, i.ref

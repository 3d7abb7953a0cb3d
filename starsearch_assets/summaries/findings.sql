-- What each rule found, how often, and its first examples in an order that does not change.
WITH found AS (
    SELECT item, content_hash, split_part(flag, ':', 1) AS rule, ltrim(substring(flag FROM position(':' IN flag) + 1)) AS what
    FROM judged CROSS JOIN unnest(flags) AS flag
    UNION ALL
    SELECT item, content_hash, 'coverage', coalesce(reason, 'not summarized yet') FROM judged WHERE NOT summarized
    UNION ALL
    SELECT item, content_hash, 'similarity', round(similarity::numeric, 3)::text FROM judged
    WHERE similarity < %(floor)s
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY rule ORDER BY content_hash, item) AS number,
           count(*) OVER (PARTITION BY rule) AS total
    FROM found
)
SELECT n.rule, n.total, n.item, left(n.what, 160), coalesce(left(s.summary, 160), '')
FROM numbered n LEFT JOIN summaries s
     ON s.content_hash = n.content_hash AND s.model = %(model)s AND s.prompt_version = %(prompt_version)s
WHERE n.number <= %(examples)s
ORDER BY n.rule, n.number

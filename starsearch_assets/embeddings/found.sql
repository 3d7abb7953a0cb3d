-- What is wrong with the day's vectors, by check: how often, and the first examples in an order that does not change.
-- NOT (a <= b) and not a > b: so that NaN is found, too.
WITH shared AS (
    SELECT fingerprint, count(DISTINCT text_hash) AS texts FROM judged_vectors WHERE NOT missing
    GROUP BY fingerprint HAVING count(DISTINCT text_hash) > 1
), found AS (
    SELECT 'coverage' AS rule, item, ref, CASE WHEN missing THEN 'no vector' ELSE 'of an older text' END AS what, document
    FROM judged_vectors WHERE missing OR outdated
    UNION ALL
    SELECT 'dimensions', item, ref, dimensions || ' dimensions', document FROM judged_vectors
    WHERE dimensions <> %(dimensions)s
    UNION ALL
    SELECT 'length', item, ref, 'length ' || round(norm::numeric, 3), document FROM judged_vectors
    WHERE NOT (abs(norm - 1) <= %(tolerance)s)
    UNION ALL
    SELECT 'equals', v.item, v.ref, 'the vector of ' || shared.texts || ' different texts', v.document
    FROM judged_vectors v JOIN shared USING (fingerprint)
    UNION ALL
    SELECT 'texts', item, ref, CASE WHEN of_another_text THEN 'text_hash is of another text'
                                    ELSE 'not the summary that its row names' END, document
    FROM judged_vectors WHERE of_another_text OR of_another_summary
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY rule ORDER BY item, ref) AS number, count(*) OVER (PARTITION BY rule) AS total
    FROM found
)
SELECT rule, total, item, what, coalesce(left(document, 160), '') FROM numbered WHERE number <= %(examples)s
ORDER BY rule, number

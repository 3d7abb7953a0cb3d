-- What summaries have cost, of the partitions (days, as text) from first to last.
SELECT CASE WHEN %(by_kind)s THEN coalesce(k.kind, u.asset) ELSE '' END AS kind, left(u.partition, %(length)s) AS period,
       u.model, u.prompt_version, sum(u.items)::bigint, sum(u.failed)::bigint, sum(u.requests)::bigint,
       sum(u.retries)::bigint, sum(u.tokens_in)::bigint, sum(u.tokens_out)::bigint, sum(u.seconds), sum(u.cost),
       coalesce(sum(u.tokens_in + u.tokens_out) FILTER (WHERE u.cost IS NOT NULL)
                / nullif(sum(u.tokens_in + u.tokens_out), 0), 0)::float8
FROM llm_usage u LEFT JOIN unnest(%(assets)s::text[], %(kinds)s::text[]) AS k (asset, kind) USING (asset)
WHERE (%(first)s::text IS NULL OR u.partition >= %(first)s) AND (%(last)s::text IS NULL OR u.partition <= %(last)s)
GROUP BY 1, 2, 3, 4
ORDER BY 2, 1, 3, 4

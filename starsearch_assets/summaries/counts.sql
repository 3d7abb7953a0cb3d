-- One row about the day: what the checks count, and the version of the data that they judge.
SELECT count(*), count(*) FILTER (WHERE summarized), count(*) FILTER (WHERE withheld),
       count(*) FILTER (WHERE quality_version < %(quality_version)s), count(*) FILTER (WHERE extractive),
       count(similarity), min(similarity)::float8, avg(similarity)::float8,
       encode(sha256(coalesce(string_agg(content_hash, '' ORDER BY content_hash) FILTER (WHERE summarized), '')), 'hex')
FROM judged

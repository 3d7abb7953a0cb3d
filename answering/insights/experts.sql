-- Who wrote each of the found items, or spoke about it: a row an item and person, names merged. shown: @login or name as
-- it was told; NULL where it was told of an alias only. authored: wrote it, alone or together with others.
WITH found AS (
    SELECT * FROM unnest(%(kinds)s::text[], %(items_repo_ids)s::bigint[], %(refs)s::text[], %(authors)s::text[])
        AS asked (kind, repo_id, ref, author)
),
told AS (
    SELECT kind, repo_id, ref, author AS shown, true AS authored FROM found WHERE author IS NOT NULL
    UNION ALL
    SELECT f.kind, f.repo_id, f.ref, coalesce('@' || c.login, c.name), true
    FROM found f JOIN published.commit_contributors c ON c.repo_id = f.repo_id AND c.sha = f.ref
    WHERE f.kind = %(commit)s AND c.role = 'co-author' AND NOT c.is_bot
    UNION ALL
    SELECT kind, repo_id, ref, '@' || c.author_login, false
    FROM found JOIN published.comments c USING (kind, repo_id, ref)
    WHERE NOT c.author_is_bot AND c.author_login IS NOT NULL
      AND c.created_at < coalesce(%(as_of)s::date, 'infinity') + INTERVAL '1 day'
),
named AS (
    SELECT told.*, CASE WHEN shown LIKE '@%%' THEN lower(shown) ELSE shown END AS alias FROM told
),
merged AS (
    SELECT named.*, coalesce(own.person, everywhere.person, named.alias) AS person
    FROM named
    LEFT JOIN published.same_people own ON own.repo_id = named.repo_id AND own.alias = named.alias
    LEFT JOIN published.same_people everywhere ON everywhere.repo_id = 0 AND everywhere.alias = named.alias
)
SELECT kind, repo_id, ref, person, min(shown) FILTER (WHERE lower(shown) = person), bool_or(authored)
FROM merged WHERE person LIKE '@%%' AND NOT published.is_bot_name(person)
GROUP BY kind, repo_id, ref, person ORDER BY kind, repo_id, ref, person

-- A commit never changes: what is known of it is replaced by what the same commit says now, and whether it is gone.
INSERT INTO commits AS known
    (repo_id, sha, title, body, author_login, author_name, author_is_bot, co_authors, authored_at, committed_at,
     parents, paths, paths_total, day, hydrated_at, gone_at)
SELECT repo_id, sha, title, body, author_login, author_name, author_is_bot, to_jsonb(co_authors), authored_at,
       committed_at, parents, paths, paths_total, day, hydrated_at, gone_at
FROM observed ORDER BY repo_id, sha
ON CONFLICT (repo_id, sha) DO UPDATE SET
    (title, body, author_login, author_name, author_is_bot, co_authors, authored_at, committed_at, parents, paths,
     paths_total, day, hydrated_at, gone_at) =
    (excluded.title, excluded.body, excluded.author_login, excluded.author_name, excluded.author_is_bot,
     excluded.co_authors, excluded.authored_at, excluded.committed_at, excluded.parents, excluded.paths,
     excluded.paths_total, excluded.day, excluded.hydrated_at, excluded.gone_at)
WHERE (known.title, known.body, known.author_login, known.author_name, known.author_is_bot, known.co_authors,
       known.parents, known.paths, known.paths_total, known.day, known.hydrated_at, known.gone_at)
   IS DISTINCT FROM
      (excluded.title, excluded.body, excluded.author_login, excluded.author_name, excluded.author_is_bot,
       excluded.co_authors, excluded.parents, excluded.paths, excluded.paths_total, excluded.day,
       excluded.hydrated_at, excluded.gone_at);

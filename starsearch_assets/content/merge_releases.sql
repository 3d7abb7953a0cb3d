-- Merge the observations into releases: the newest observation of a tag wins.
INSERT INTO releases AS known
    (repo_id, tag, title, body, hydrated_at, hydrated_event, author_login, author_is_bot, created_at,
     published_at, prerelease)
SELECT DISTINCT ON (repo_id, tag)
       repo_id, tag, title, body, observed_at, event_id, author_login,
       author_typed_bot OR author_login LIKE '%%[bot]', created_at, published_at, prerelease
FROM observed
ORDER BY repo_id, tag, observed_at DESC, event_id DESC
ON CONFLICT (repo_id, tag) DO UPDATE SET
    title = excluded.title, body = excluded.body,
    hydrated_at = excluded.hydrated_at, hydrated_event = excluded.hydrated_event,
    author_login = excluded.author_login, author_is_bot = excluded.author_is_bot,
    created_at = excluded.created_at, published_at = excluded.published_at, prerelease = excluded.prerelease
WHERE (known.hydrated_at, known.hydrated_event) < (excluded.hydrated_at, excluded.hydrated_event);

-- Who authored the day's commits in tracked repositories, and who is named beside them; returns the new ones. An address
-- that no mail system takes is kept as none.
INSERT INTO git_identities (repo_id, name, address, login)
SELECT DISTINCT c.repo_id, told.name, CASE WHEN length(told.address) <= 254 THEN told.address ELSE '' END,
       coalesce(lower(noreply_login(told.address)), '')
FROM git_commits c JOIN repositories USING (repo_id)
CROSS JOIN LATERAL (
    SELECT shown_name(c.author_name), lower(trim(c.author_email))
    UNION ALL
    SELECT shown_name(co ->> 'name'), lower(trim(coalesce(co ->> 'email', ''))) FROM jsonb_array_elements(c.co_authors) co
) told (name, address)
WHERE c.day = %(day)s AND told.name IS NOT NULL
ON CONFLICT DO NOTHING
RETURNING repo_id;

-- The commits of a day in tracked repositories, one row a commit, as they may be shown: without e-mail addresses. The
-- title is the first line of the message; trailers (Signed-off-by, Change-Id, …) are left out of the rest.
CREATE TEMPORARY TABLE observed ON COMMIT DROP AS
WITH told AS (
    SELECT c.*, ltrim(left(c.message, 100000), E' \n\r\t') AS text
    FROM git_commits c JOIN repositories USING (repo_id) WHERE c.day = %(day)s
), split AS (
    SELECT told.*, left(rtrim(substring(text from '^[^\n\r]*')), 300) AS subject FROM told
)
SELECT repo_id, sha,
       coalesce(nullif(trim(shown_text(subject)), ''), '(no message)') AS title,
       trim(E' \n\r\t' from shown_text(regexp_replace(substr(text, length(subject) + 1),
           '(?ni)^[ \t]*([a-z]+(-[a-z]+)*-by|cc|change-id|reviewed-on|git-svn-id|gerrit-[a-z-]+)[ \t]*:.*$', '', 'g'))) AS body,
       noreply_login(author_email) AS author_login,
       shown_name(author_name) AS author_name,
       coalesce(noreply_login(author_email) LIKE '%%[bot]', false) OR author_name ILIKE '%%[bot]' AS author_is_bot,
       ARRAY (
           SELECT jsonb_build_object('login', login, 'name', name, 'is_bot', is_bot,
                                     'person', coalesce('@' || lower(login), name))
           FROM (SELECT noreply_login(co ->> 'email') AS login, shown_name(co ->> 'name') AS name,
                        coalesce(noreply_login(co ->> 'email') LIKE '%%[bot]', false)
                        OR coalesce(co ->> 'name' ILIKE '%%[bot]', false) AS is_bot, place
                 FROM jsonb_array_elements(co_authors) WITH ORDINALITY listed (co, place)) person
           WHERE coalesce(login, name) IS NOT NULL ORDER BY place
       ) AS co_authors,
       authored_at, committed_at, cardinality(parents) AS parents, paths, paths_total, day,
       first_seen_at AS hydrated_at, unreachable_since AS gone_at
FROM split;

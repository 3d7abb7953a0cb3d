-- Commits as items: git history without e-mail addresses, in the shape that every other kind has.
-- depends: 0010-git

-- Text of a commit as it may be shown: without e-mail addresses, and without characters that show nothing (control,
-- zero-width and bidirectional ones, tags). Line breaks stay, and so does logo@2x.png.
CREATE FUNCTION shown_text(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT CASE WHEN position('@' IN visible) = 0 THEN visible ELSE regexp_replace(visible,
        '<[^<>\s]*@[^<>\s]*>|[^\s<>@,;:()\[\]"]+@(?![0-9]+x\.)[[:alnum:]_-]+(\.[[:alnum:]_-]+)*\.[[:alpha:]]{2,}', '', 'g')
        END
    FROM (SELECT CASE WHEN $1 !~ '[^\n\t -~]' THEN $1 ELSE regexp_replace($1,  -- most texts are ASCII, and done
        '[\x01-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]',
        ' ', 'g') END AS visible) text
$$;

-- A person's name on one line; NULL where nothing is left. Nobody can pass for a login: it has no @.
CREATE FUNCTION shown_name(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT nullif(left(trim(regexp_replace(replace(starsearch.shown_text($1), '@', ' '), '\s+', ' ', 'g')), 100), '')
$$;

-- The login in an address that GitHub makes for those who keep theirs private: ID+login@ or login@.
CREATE FUNCTION noreply_login(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT substring(left(trim($1), 200)
        from '(?i)^(?:[0-9]+\+)?([a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\[bot\])?)@users\.noreply\.github\.com$')
$$;

-- Everything by which a question can name one of the paths: the path, each of its ends and each of its folders.
CREATE FUNCTION path_keys(text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT coalesce(array_agg(DISTINCT key), '{}')
    FROM (SELECT string_to_array(lower(path), '/') AS parts FROM unnest($1) path) split,
         LATERAL (SELECT array_to_string(parts[n:], '/') FROM generate_series(1, cardinality(parts)) n
                  UNION ALL
                  SELECT array_to_string(parts[:n], '/') FROM generate_series(1, cardinality(parts) - 1) n) keys (key)
    WHERE octet_length(key) <= 1000
$$;

-- author_login: where the address tells it, else NULL. co_authors: [{login, name, is_bot, person}, …]; person: who
-- counts as one, @login in lower case where it is known and the name elsewhere. paths: the first of paths_total.
-- parents: 2 and more are a merge. gone_at: since when no branch reaches it.
CREATE TABLE commits (
    repo_id       bigint NOT NULL,
    sha           text NOT NULL,
    title         text NOT NULL,
    body          text NOT NULL,
    author_login  text,
    author_name   text,
    author_is_bot boolean NOT NULL,
    co_authors    jsonb NOT NULL,
    authored_at   timestamptz NOT NULL,
    committed_at  timestamptz NOT NULL,
    parents       integer NOT NULL,
    paths         text[] NOT NULL,
    paths_total   integer NOT NULL,
    path_keys     text[] GENERATED ALWAYS AS (path_keys(paths)) STORED,
    day           date NOT NULL,
    hydrated_at   timestamptz NOT NULL,  -- when a fetch first saw it: a commit comes whole
    gone_at       timestamptz,
    PRIMARY KEY (repo_id, sha)
);
CREATE INDEX commits_sha ON commits (sha text_pattern_ops);
CREATE INDEX commits_paths ON commits USING gin (path_keys);
CREATE INDEX commits_co_authors ON commits USING gin (co_authors jsonb_path_ops);

-- The files of a commit, as a last paragraph of its text: the first of them, each on one line.
CREATE FUNCTION changed_paragraph(paths text[], total integer) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT E'\n\nChanged: ' || string_agg(left(regexp_replace(path, '[[:cntrl:]]', ' ', 'g'), 200), ', ' ORDER BY n)
           || CASE WHEN total > 20 THEN ' and ' || total - 20 || ' more' ELSE '' END
    FROM unnest(paths[:20]) WITH ORDINALITY shown (path, n)
$$;

CREATE OR REPLACE VIEW known_items AS
    SELECT 'pull_request' AS kind, repo_id, number::text AS ref, hydrated_at, hydrated_event, state, gone_at
    FROM pull_requests
    UNION ALL
    SELECT 'issue', repo_id, number::text, hydrated_at, hydrated_event, state, gone_at FROM issues
    UNION ALL
    SELECT 'release', repo_id, tag, hydrated_at, hydrated_event, NULL, NULL FROM releases
    UNION ALL
    SELECT 'commit', repo_id, sha, hydrated_at, NULL, NULL, gone_at FROM commits;

-- author_name: of who has no known login; the other kinds always tell a login. A commit's ref is its full SHA, and no
-- event told of it.
CREATE OR REPLACE VIEW items AS
    SELECT 'pull_request' AS kind, i.repo_id, i.number::text AS ref, i.title, i.body, i.hydrated_at, i.hydrated_event,
           i.author_login, i.author_is_bot, i.created_at, i.closed_at, i.merged_at, i.labels,
           CASE WHEN i.merged_at IS NOT NULL THEN 'merged' ELSE i.state END AS state,
           r.name AS repo, 'pull/' || i.number AS url_path, NULL::text AS author_name
    FROM pull_requests i JOIN repositories r USING (repo_id) WHERE i.gone_at IS NULL
    UNION ALL
    SELECT 'issue', i.repo_id, i.number::text, i.title, i.body, i.hydrated_at, i.hydrated_event,
           i.author_login, i.author_is_bot, i.created_at, i.closed_at, NULL, i.labels,
           i.state, r.name, 'issues/' || i.number, NULL
    FROM issues i JOIN repositories r USING (repo_id) WHERE i.gone_at IS NULL
    UNION ALL
    SELECT 'release', i.repo_id, i.tag, coalesce(nullif(i.title, ''), i.tag), i.body, i.hydrated_at, i.hydrated_event,
           i.author_login, i.author_is_bot, i.created_at, NULL, NULL, NULL,
           CASE WHEN i.prerelease THEN 'prerelease' ELSE 'released' END, r.name, 'releases/tag/' || i.tag, NULL
    FROM releases i JOIN repositories r USING (repo_id)
    UNION ALL
    SELECT 'commit', i.repo_id, i.sha, i.title, i.body || coalesce(changed_paragraph(i.paths, i.paths_total), ''),
           i.hydrated_at, NULL, i.author_login, i.author_is_bot, i.committed_at, NULL, NULL, NULL,
           CASE WHEN i.parents > 1 THEN 'merge' END, r.name, 'commit/' || i.sha, i.author_name
    FROM commits i JOIN repositories r USING (repo_id) WHERE i.gone_at IS NULL;

CREATE OR REPLACE VIEW published.items AS SELECT * FROM items;

CREATE VIEW published.commits AS
    SELECT i.repo_id, i.sha, i.title, i.author_login, i.author_name, i.author_is_bot, i.co_authors, i.authored_at,
           i.committed_at, i.day, i.parents > 1 AS is_merge, i.paths, i.paths_total, i.path_keys
    FROM commits i JOIN repositories USING (repo_id) WHERE i.gone_at IS NULL;

-- Who wrote a commit, its author and its co-authors, a row each. person: as above; NULL: nobody is named.
CREATE VIEW published.commit_contributors AS
    SELECT c.repo_id, c.sha, c.day, c.committed_at, c.is_merge, told.role, told.login, told.name, told.is_bot,
           told.person
    FROM published.commits c CROSS JOIN LATERAL (
        SELECT 'author' AS role, c.author_login AS login, c.author_name AS name, c.author_is_bot AS is_bot,
               coalesce('@' || lower(c.author_login), c.author_name) AS person
        UNION ALL
        SELECT 'co-author', co ->> 'login', co ->> 'name', (co ->> 'is_bot')::boolean, co ->> 'person'
        FROM jsonb_array_elements(c.co_authors) co
    ) told;

-- The fetch that first saw a commit. The URL without what may be a secret in it.
CREATE VIEW published.commit_sources AS
    SELECT c.repo_id, c.sha, c.first_seen_at, c.run_id, regexp_replace(g.url, '//[^/]*@', '//') AS url
    FROM git_commits c LEFT JOIN git_repositories g USING (repo_id);

-- git_url: of a repository that is not at GitHub, from where it is cloned: there are its commits to be found.
CREATE OR REPLACE VIEW published.repositories AS
    SELECT r.repo_id, r.name, r.tracked_at,
           CASE WHEN r.repo_id < 0 AND g.url NOT LIKE 'https://github.com/%'
                THEN regexp_replace(g.url, '//[^/]*@', '//') END AS git_url
    FROM repositories r LEFT JOIN git_repositories g ON g.repo_id = r.repo_id AND g.removed_at IS NULL;

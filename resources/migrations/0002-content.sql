-- What the events are about: repositories and their pull requests, issues and releases.
-- depends: 0001-events

-- The tracked repositories. Ids are identity; the name is the newest one seen.
CREATE TABLE repositories (
    repo_id    bigint PRIMARY KEY,
    name       text NOT NULL,
    tracked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON repositories (lower(name));

-- Names asked for that no event has named yet; resolved when one does.
CREATE TABLE repository_requests (
    name         text PRIMARY KEY,
    requested_at timestamptz NOT NULL DEFAULT now()
);

-- Every name that a tracked repository was seen under.
CREATE TABLE repository_names (
    repo_id    bigint NOT NULL,
    name       text NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL,
    PRIMARY KEY (repo_id, name)
);
CREATE INDEX ON repository_names (lower(name));

-- Fields merge in groups, each with the time and event of its newest observation: newer wins,
-- absence never erases. hydrated_at belongs to title and body; NULL: no text was ever seen.
CREATE TABLE pull_requests (
    repo_id    bigint NOT NULL,
    number     bigint NOT NULL,
    title      text,
    body       text,
    hydrated_at timestamptz,
    hydrated_event bigint,
    author_login  text,
    author_is_bot boolean,
    created_at timestamptz,
    state      text CHECK (state IN ('open', 'closed')),
    closed_at  timestamptz,
    state_observed_at timestamptz,
    state_event bigint,
    merged_at  timestamptz,
    merged_by  text,
    labels     text[],
    labels_observed_at timestamptz,
    labels_event bigint,
    PRIMARY KEY (repo_id, number)
);

CREATE TABLE issues (
    repo_id    bigint NOT NULL,
    number     bigint NOT NULL,
    title      text,
    body       text,
    hydrated_at timestamptz,
    hydrated_event bigint,
    author_login  text,
    author_is_bot boolean,
    created_at timestamptz,
    state      text CHECK (state IN ('open', 'closed')),
    closed_at  timestamptz,
    state_observed_at timestamptz,
    state_event bigint,
    labels     text[],
    labels_observed_at timestamptz,
    labels_event bigint,
    PRIMARY KEY (repo_id, number)
);

CREATE TABLE releases (
    repo_id    bigint NOT NULL,
    tag        text NOT NULL,
    title      text,
    body       text,
    hydrated_at timestamptz,
    hydrated_event bigint,
    author_login  text,
    author_is_bot boolean,
    created_at timestamptz,
    published_at timestamptz,
    prerelease boolean,
    PRIMARY KEY (repo_id, tag)
);

-- What people said about an item: issue comments, reviews, review comments.
CREATE TABLE comments (
    repo_id    bigint NOT NULL,
    source     text NOT NULL CHECK (source IN ('comment', 'review', 'review_comment')),
    comment_id bigint NOT NULL,
    kind       text NOT NULL,
    ref        text NOT NULL,
    author_login  text,
    author_is_bot boolean NOT NULL,
    body       text NOT NULL,
    created_at timestamptz NOT NULL,
    observed_at timestamptz NOT NULL,
    event_id   bigint NOT NULL,
    deleted    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (repo_id, source, comment_id)
);
CREATE INDEX ON comments (kind, repo_id, ref);
CREATE INDEX ON comments (lower(author_login));

-- Append-only: on which days something happened to an item.
CREATE TABLE activity (
    kind    text NOT NULL,
    repo_id bigint NOT NULL,
    ref     text NOT NULL,
    day     date NOT NULL,
    PRIMARY KEY (kind, repo_id, ref, day)
);
CREATE INDEX ON activity (kind, day);

-- Every item of every kind in one shape. ref is the number or the tag, as text.
CREATE VIEW items AS
    SELECT 'pull_request' AS kind, i.repo_id, i.number::text AS ref, i.title, i.body, i.hydrated_at, i.hydrated_event,
           i.author_login, i.author_is_bot, i.created_at, i.closed_at, i.merged_at, i.labels,
           CASE WHEN i.merged_at IS NOT NULL THEN 'merged' ELSE i.state END AS state,
           r.name AS repo, 'pull/' || i.number AS url_path
    FROM pull_requests i JOIN repositories r USING (repo_id)
    UNION ALL
    SELECT 'issue', i.repo_id, i.number::text, i.title, i.body, i.hydrated_at, i.hydrated_event,
           i.author_login, i.author_is_bot, i.created_at, i.closed_at, NULL, i.labels,
           i.state, r.name, 'issues/' || i.number
    FROM issues i JOIN repositories r USING (repo_id)
    UNION ALL
    SELECT 'release', i.repo_id, i.tag, coalesce(nullif(i.title, ''), i.tag), i.body, i.hydrated_at, i.hydrated_event,
           i.author_login, i.author_is_bot, i.created_at, NULL, NULL, NULL,
           CASE WHEN i.prerelease THEN 'prerelease' ELSE 'released' END, r.name, 'releases/tag/' || i.tag
    FROM releases i JOIN repositories r USING (repo_id);

-- What GitHub's API adds to what events said: text, files, fates, names; and what it found that events missed.
-- depends: 0007-pushes

-- An observation of the API has event id 0. last_active_at: the newest change of the item that anyone told of,
-- by an event or by GitHub's own updated_at; an item that was hydrated before it is hydrated again.
-- gone_at: since when GitHub has it no more (deleted), or has it elsewhere (moved).
ALTER TABLE pull_requests
    ADD COLUMN last_active_at timestamptz,
    ADD COLUMN gone_at timestamptz,
    ADD COLUMN files text[],
    ADD COLUMN files_total integer,
    ADD COLUMN files_observed_at timestamptz;
ALTER TABLE issues
    ADD COLUMN last_active_at timestamptz,
    ADD COLUMN gone_at timestamptz;

-- The views call an item by its number as text.
CREATE INDEX pull_requests_ref ON pull_requests (repo_id, (number::text));
CREATE INDEX issues_ref ON issues (repo_id, (number::text));

-- How the newest look at an item through the API ended.
CREATE TABLE hydrations (
    kind       text NOT NULL,
    repo_id    bigint NOT NULL,
    ref        text NOT NULL,
    status     text NOT NULL CHECK (status IN ('found', 'deleted', 'moved', 'failed')),
    fetched_at timestamptz NOT NULL,
    reason     text,
    moved_repo_id bigint,
    moved_ref  text,
    run_id     text,
    PRIMARY KEY (kind, repo_id, ref)
);
CREATE INDEX ON hydrations (kind, status) WHERE status <> 'found';

-- seen_at: when the API last showed the repository. hidden_as: how it hides it (private, blocked for legal reasons,
-- or unavailable: deleted or private, GitHub does not tell which), first and last seen so. synthetic: of the bundled
-- sample, about which nobody is asked.
ALTER TABLE repositories
    ADD COLUMN synthetic boolean NOT NULL DEFAULT false,
    ADD COLUMN seen_at timestamptz,
    ADD COLUMN hidden_as text CHECK (hidden_as IN ('unavailable', 'private', 'blocked')),
    ADD COLUMN hidden_since timestamptz,
    ADD COLUMN hidden_at timestamptz;

-- One day as GitHub itself counts it, against what the events told of it. `known` of `items` were in the events.
CREATE TABLE reconciliations (
    day          date PRIMARY KEY,
    repositories integer NOT NULL DEFAULT 0,
    items        integer NOT NULL DEFAULT 0,
    known        integer NOT NULL DEFAULT 0,
    capture_rate real,                      -- NULL: nothing happened on the day
    cut          integer NOT NULL DEFAULT 0, -- repositories with more changes than were read
    finished_at  timestamptz,
    run_id       text
);

-- Repositories of a day that is being reconciled, so that a killed or stopped run goes on where it was.
CREATE TABLE reconciled_repositories (
    day     date NOT NULL,
    repo_id bigint NOT NULL,
    items   integer NOT NULL,
    known   integer NOT NULL,
    cut     boolean NOT NULL,
    PRIMARY KEY (day, repo_id)
);

-- All items with those that are gone; `items` has only what GitHub still shows.
CREATE VIEW known_items AS
    SELECT 'pull_request' AS kind, repo_id, number::text AS ref, hydrated_at, hydrated_event, state, gone_at
    FROM pull_requests
    UNION ALL
    SELECT 'issue', repo_id, number::text, hydrated_at, hydrated_event, state, gone_at FROM issues
    UNION ALL
    SELECT 'release', repo_id, tag, hydrated_at, hydrated_event, NULL, NULL FROM releases;

CREATE OR REPLACE VIEW items AS
    SELECT 'pull_request' AS kind, i.repo_id, i.number::text AS ref, i.title, i.body, i.hydrated_at, i.hydrated_event,
           i.author_login, i.author_is_bot, i.created_at, i.closed_at, i.merged_at, i.labels,
           CASE WHEN i.merged_at IS NOT NULL THEN 'merged' ELSE i.state END AS state,
           r.name AS repo, 'pull/' || i.number AS url_path
    FROM pull_requests i JOIN repositories r USING (repo_id) WHERE i.gone_at IS NULL
    UNION ALL
    SELECT 'issue', i.repo_id, i.number::text, i.title, i.body, i.hydrated_at, i.hydrated_event,
           i.author_login, i.author_is_bot, i.created_at, i.closed_at, NULL, i.labels,
           i.state, r.name, 'issues/' || i.number
    FROM issues i JOIN repositories r USING (repo_id) WHERE i.gone_at IS NULL
    UNION ALL
    SELECT 'release', i.repo_id, i.tag, coalesce(nullif(i.title, ''), i.tag), i.body, i.hydrated_at, i.hydrated_event,
           i.author_login, i.author_is_bot, i.created_at, NULL, NULL, NULL,
           CASE WHEN i.prerelease THEN 'prerelease' ELSE 'released' END, r.name, 'releases/tag/' || i.tag
    FROM releases i JOIN repositories r USING (repo_id);

CREATE VIEW published.hydrations AS SELECT kind, repo_id, ref, fetched_at, run_id FROM hydrations WHERE status = 'found';

-- What arrives from outside, as it came; and the hours of it that nobody has read yet.
-- depends: 0008-hydration

-- Append-only. source: events_api, one event of GitHub's Events API a row; webhook, one delivery a row. repo_id: whose
-- it is, so that a repository can be forgotten here too.
CREATE TABLE service.inbox (
    inbox_id    bigint GENERATED ALWAYS AS IDENTITY,
    source      text NOT NULL CHECK (source IN ('events_api', 'webhook')),
    sha256      bytea NOT NULL,
    body        bytea NOT NULL,
    headers     jsonb NOT NULL DEFAULT '{}',
    repo_id     bigint,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, sha256)
);
CREATE INDEX inbox_received_at ON service.inbox (source, received_at, inbox_id);
CREATE INDEX inbox_repo_id ON service.inbox (repo_id);

-- Hours in which something was received that no asset has read yet: what `dirty_days` is for days. Whoever writes to
-- the inbox bumps the version in the same transaction; reading clears only the version that it saw.
CREATE SEQUENCE service.inbox_version;
CREATE TABLE service.inbox_hours (
    source  text NOT NULL,
    hour    timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT nextval('service.inbox_version'),
    PRIMARY KEY (source, hour)
);

REVOKE UPDATE, DELETE ON service.inbox FROM starsearch_service;
GRANT USAGE ON SEQUENCE service.inbox_version TO starsearch_service;

-- The ledger tells of hour files and of the hours of the inbox.
ALTER TABLE ingest_ledger
    ADD COLUMN source text GENERATED ALWAYS AS
        (CASE WHEN url LIKE 'inbox:%' THEN 'events_api' ELSE 'hour_file' END) STORED;

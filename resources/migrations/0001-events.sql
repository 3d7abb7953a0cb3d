-- What came in: events, where each came from, and what could not be read.
-- depends:

CREATE TABLE ingest_ledger (
    source_id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url         text NOT NULL UNIQUE,
    hour        timestamptz NOT NULL,
    status      text NOT NULL CHECK (status IN ('loaded', 'missing', 'failed')),
    sha256      text,
    bytes       bigint,
    events      integer,           -- events in the file
    inserted    integer,           -- rows of `events` that came from this file
    rejected    integer,
    sanitized   integer,
    capture_rate real,             -- share of GitHub's own count; NULL until something measured it
    first_event_at timestamptz,
    last_event_at  timestamptz,
    error       text,
    run_id      text,
    loaded_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON ingest_ledger (hour);

CREATE TABLE rejected_events (
    source_id   integer NOT NULL REFERENCES ingest_ledger ON DELETE CASCADE,
    line_number integer NOT NULL,
    reason      text NOT NULL,
    raw         bytea NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_id, line_number)
);

-- Events kept although PostgreSQL refuses a character in them (U+0000, lone surrogates): the
-- character was replaced by its visible escape, and this says where.
CREATE TABLE sanitized_events (
    source_id   integer NOT NULL REFERENCES ingest_ledger ON DELETE CASCADE,
    line_number integer NOT NULL,
    created_at  timestamptz NOT NULL,
    event_id    bigint NOT NULL,
    type        text NOT NULL,
    reason      text NOT NULL,
    PRIMARY KEY (source_id, line_number)
);

-- One table, two ways to keep it: a TimescaleDB hypertable where that extension is installed in this
-- database, native range partitions by day elsewhere (starsearch_assets/events/storage.py makes those).
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        CREATE TABLE events (
            created_at timestamptz NOT NULL,
            event_id   bigint NOT NULL,
            type       text NOT NULL,
            repo_id    bigint NOT NULL,
            repo_name  text NOT NULL,
            actor_id   bigint,
            actor_login text,
            source_id  integer NOT NULL,
            payload    jsonb NOT NULL,
            PRIMARY KEY (created_at, event_id, type)
        );
        PERFORM create_hypertable('events', by_range('created_at', INTERVAL '1 day'), create_default_indexes => false);
    ELSE
        CREATE TABLE events (
            created_at timestamptz NOT NULL,
            event_id   bigint NOT NULL,
            type       text NOT NULL,
            repo_id    bigint NOT NULL,
            repo_name  text NOT NULL,
            actor_id   bigint,
            actor_login text,
            source_id  integer NOT NULL,
            payload    jsonb NOT NULL,
            PRIMARY KEY (created_at, event_id, type)
        ) PARTITION BY RANGE (created_at);
    END IF;
END $$;
CREATE INDEX events_repo_id_created_at ON events (repo_id, created_at);

CREATE SEQUENCE dirty_version;

-- Days whose events changed since the partition of that kind was last processed.
CREATE TABLE dirty_days (
    kind    text NOT NULL,
    day     date NOT NULL,
    version bigint NOT NULL DEFAULT nextval('dirty_version'),
    PRIMARY KEY (kind, day)
);

-- Months in which the vectors or filter columns of an item changed since the index was last built.
CREATE TABLE dirty_months (
    kind    text NOT NULL,
    month   date NOT NULL,
    version bigint NOT NULL DEFAULT nextval('dirty_version'),
    PRIMARY KEY (kind, month)
);

-- What `starsearch poll` follows through GitHub's Events API: feeds with their cursors, what they missed, one worker.
-- depends: 0010-git

-- A feed is a path of the API without its `/events`: `repositories/ID` or `orgs/LOGIN` (lower case). known: the keys of
-- the events seen last, newest first, 8 bytes each (starsearch_assets/polling/cursor.py). rate: events a second,
-- estimated; interval, poll_interval: seconds, as planned and as GitHub asks at least. polled_at: the last answer, also
-- one without news. absent: GitHub has no such feed (deleted, private, blocked; an account that is no organization).
CREATE TABLE service.polling_feeds (
    feed          text PRIMARY KEY,
    repo_id       bigint,
    known         bytea NOT NULL DEFAULT '',
    newest_at     timestamptz,
    etag          text,
    rate          double precision,
    poll_interval double precision NOT NULL DEFAULT 60,
    planned       double precision,
    polled_at     timestamptz,
    next_at       timestamptz,
    events        bigint NOT NULL DEFAULT 0,
    failures      integer NOT NULL DEFAULT 0,
    problem       text,
    absent        boolean NOT NULL DEFAULT false,
    paused        boolean NOT NULL DEFAULT false,
    added_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON service.polling_feeds (repo_id);

-- Times in which a feed brought more than it offers at once (300 events), so that some were never seen.
CREATE TABLE service.polling_gaps (
    gap_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed     text NOT NULL,
    repo_id  bigint,
    since    timestamptz NOT NULL,
    until    timestamptz NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    CHECK (since <= until)
);

-- Who polls. Every write of a poller is in a transaction that holds this row and finds it its own.
CREATE TABLE service.polling_lease (
    name       text PRIMARY KEY,
    holder     text NOT NULL,
    taken_at   timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

-- What is to be polled. Repositories of a followed organization come with its feed, unless GitHub has no such feed.
-- paused: GitHub hides the repository; its cursor is kept. Whoever reads these views reads no table behind them.
CREATE VIEW service.feeds_to_poll AS
    WITH followed AS (
        SELECT lower(split_part(name, '/', 1)) AS owner FROM starsearch.repository_requests WHERE name LIKE '%/*'
    )
    SELECT 'orgs/' || owner AS feed, NULL::bigint AS repo_id, false AS paused FROM followed
    UNION ALL
    SELECT 'repositories/' || r.repo_id, r.repo_id, r.hidden_as IS NOT NULL
    FROM starsearch.repositories r
    WHERE r.repo_id > 0 AND NOT r.synthetic AND lower(split_part(r.name, '/', 1)) NOT IN (
        SELECT owner FROM followed WHERE NOT EXISTS (
            SELECT FROM service.polling_feeds f WHERE f.feed = 'orgs/' || followed.owner AND f.absent));

CREATE VIEW service.forgotten AS SELECT subject, subject_id FROM starsearch.tombstones;

-- Days of gaps that nobody has reconciled since the gap was noted and the day was over.
CREATE VIEW service.open_gap_days AS
    SELECT g.gap_id, g.feed, g.since, g.until, g.noted_at, d.day::date AS day
    FROM service.polling_gaps g,
         generate_series(date_trunc('day', g.since AT TIME ZONE 'UTC'), g.until AT TIME ZONE 'UTC', interval '1 day') d (day)
    WHERE NOT EXISTS (
        SELECT FROM starsearch.reconciliations r
        WHERE r.day = d.day::date
          AND r.finished_at >= greatest(g.noted_at, (d.day + interval '1 day') AT TIME ZONE 'UTC'));

REVOKE INSERT, UPDATE, DELETE ON service.feeds_to_poll, service.forgotten, service.open_gap_days FROM starsearch_service;

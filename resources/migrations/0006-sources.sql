-- What a source said of its files, what has to be asked for again, and what must never come back.
-- depends: 0005-service-and-roles

-- etag: as the source sent it, so that an unchanged file is not downloaded again; verified: the source's
-- manifest named the digest and the number of events that were found; withheld: events of forgotten repositories.
ALTER TABLE ingest_ledger
    ADD COLUMN etag text,
    ADD COLUMN verified boolean NOT NULL DEFAULT false,
    ADD COLUMN withheld integer NOT NULL DEFAULT 0;

-- Partitions that cannot be finished yet through no fault of theirs: an hour file that its source does not
-- have yet, an API budget that is used up. A sensor requests them again, not before the time.
CREATE TABLE waiting_partitions (
    asset      text NOT NULL,
    partition  text NOT NULL,
    not_before timestamptz NOT NULL,
    reason     text NOT NULL,
    attempts   integer NOT NULL DEFAULT 1,
    since      timestamptz NOT NULL DEFAULT now(),
    run_id     text,
    PRIMARY KEY (asset, partition)
);

-- What was forgotten, so that every ingester skips it: nothing but the id is kept.
CREATE TABLE tombstones (
    subject      text NOT NULL CHECK (subject IN ('repository', 'person')),
    subject_id   bigint NOT NULL,
    reason       text NOT NULL,
    forgotten_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, subject_id)
);

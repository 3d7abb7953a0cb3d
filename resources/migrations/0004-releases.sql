-- What is served: immutable index artifacts and the releases that name them.
-- depends: 0003-documents

CREATE TABLE index_artifacts (
    artifact_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space_id    integer NOT NULL REFERENCES embedding_spaces,
    month       date NOT NULL,
    version     integer NOT NULL,
    table_name  text NOT NULL UNIQUE,
    fingerprint text NOT NULL,
    row_count   integer NOT NULL,
    bytes       bigint NOT NULL,
    build_seconds real NOT NULL,
    recall      jsonb,            -- ef_search -> recall@10 against exact search
    passed      boolean,          -- NULL: built, not audited yet
    run_id      text,
    built_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (space_id, month, version)
);

CREATE TABLE search_releases (
    release_id  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status      text NOT NULL CHECK (status IN ('candidate', 'refused', 'published')),
    reason      text,
    as_of       date,
    fingerprint text NOT NULL,
    ef_search   jsonb NOT NULL DEFAULT '{}',   -- space_id -> ef_search
    recall      jsonb NOT NULL DEFAULT '{}',   -- space_id -> {recall, lower_bound, queries}
    document_shares jsonb NOT NULL DEFAULT '{}',
    coverage    jsonb NOT NULL DEFAULT '{}',
    run_id      text,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE release_artifacts (
    release_id  integer NOT NULL REFERENCES search_releases ON DELETE CASCADE,
    artifact_id integer NOT NULL REFERENCES index_artifacts,
    PRIMARY KEY (release_id, artifact_id)
);

-- Items of an artifact that a newer artifact of the same release holds too: search leaves them out.
CREATE TABLE superseded (
    release_id  integer NOT NULL REFERENCES search_releases ON DELETE CASCADE,
    artifact_id integer NOT NULL,
    repo_id     bigint NOT NULL,
    ref         text NOT NULL,
    PRIMARY KEY (release_id, artifact_id, repo_id, ref)
);

CREATE TABLE active_release (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    release_id integer REFERENCES search_releases,
    paused     boolean NOT NULL DEFAULT false,
    activated_at timestamptz
);
INSERT INTO active_release (release_id) VALUES (NULL);

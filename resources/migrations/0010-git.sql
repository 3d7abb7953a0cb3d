-- Git history: which repositories are cloned, where their refs pointed, and what became reachable.
-- depends: 0009-inbox

-- Opted in, one by one. requested_at: the newest reason to fetch (opting in, a push that was seen, the time); a fetch
-- that began after it has met it. bytes, used_at: of the clone in the cache; NULL: there is none. removed_at: opted
-- out, and the clone is still to be deleted. unfinished: commits were written, but the tips have not moved yet.
CREATE TABLE git_repositories (
    repo_id      bigint PRIMARY KEY,
    url          text NOT NULL,
    created_at   timestamptz,              -- of the repository, where known: no commit is active before it
    requested_at timestamptz NOT NULL DEFAULT now(),
    fetched_at   timestamptz,              -- when the newest fetch that succeeded began
    bytes        bigint,
    used_at      timestamptz,
    error        text,                     -- of the newest fetch; NULL: it succeeded
    failures     integer NOT NULL DEFAULT 0,
    not_before   timestamptz,              -- of the next attempt after a failure
    unfinished   boolean NOT NULL DEFAULT false,
    removed_at   timestamptz
);

-- Asked for by a name whose id is not known yet: to be cloned from there as soon as it is.
ALTER TABLE repository_requests ADD COLUMN git_url text;

-- Where the branches pointed at the end of the newest fetch.
CREATE TABLE git_refs (
    repo_id bigint NOT NULL,
    ref     text NOT NULL,
    sha     text NOT NULL,
    PRIMARY KEY (repo_id, ref)
);

-- Append-only: how the branches moved. old_sha NULL: new; new_sha NULL: deleted. forced: the old tip is no ancestor.
CREATE TABLE git_ref_updates (
    update_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repo_id    bigint NOT NULL,
    ref        text NOT NULL,
    old_sha    text,
    new_sha    text,
    forced     boolean NOT NULL,
    fetched_at timestamptz NOT NULL,
    run_id     text
);
CREATE INDEX ON git_ref_updates (repo_id, fetched_at);

-- Every commit that was ever reachable. day: the committer's day (UTC), clamped to [creation of the repository, day on
-- which it was first seen], fixed when it is first seen. paths: as they stand in the tree, the first of paths_total;
-- of a merge those that differ from its first parent. E-mail addresses stay in this table.
CREATE TABLE git_commits (
    repo_id         bigint NOT NULL,
    sha             text NOT NULL,
    parents         text[] NOT NULL,
    author_name     text NOT NULL,
    author_email    text NOT NULL,
    authored_at     timestamptz NOT NULL,
    committer_name  text NOT NULL,
    committer_email text NOT NULL,
    committed_at    timestamptz NOT NULL,
    message         text NOT NULL,
    co_authors      jsonb NOT NULL DEFAULT '[]',   -- [{name, email}, …], of its Co-authored-by trailers
    paths           text[] NOT NULL,
    paths_total     integer NOT NULL,
    day             date NOT NULL,
    first_seen_at   timestamptz NOT NULL,
    unreachable_since timestamptz,                 -- no branch reaches it any more
    run_id          text,
    PRIMARY KEY (repo_id, sha)
);
CREATE INDEX ON git_commits (day);

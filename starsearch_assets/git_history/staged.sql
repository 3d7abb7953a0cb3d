-- A batch of commits on its way into git_commits.
CREATE TEMPORARY TABLE staged (
    sha text, parents text[], author_name text, author_email text, authored_at bigint, committer_name text,
    committer_email text, committed_at bigint, message text, co_authors jsonb, paths text[], paths_total integer
) ON COMMIT DROP

-- The batch: new commits are added, those that are reachable again are marked so, all others stay as they are.
WITH written AS (
    INSERT INTO git_commits AS known (
        repo_id, sha, parents, author_name, author_email, authored_at, committer_name, committer_email, committed_at,
        message, co_authors, paths, paths_total, day, first_seen_at, run_id)
    SELECT %(repo_id)s, sha, parents, author_name, author_email, to_timestamp(authored_at), committer_name,
           committer_email, to_timestamp(committed_at), message, co_authors, paths, paths_total,
           least(greatest((to_timestamp(committed_at) AT TIME ZONE 'UTC')::date, %(first)s::date), %(last)s::date),
           %(now)s, %(run_id)s
    FROM staged
    ON CONFLICT (repo_id, sha) DO UPDATE SET unreachable_since = NULL WHERE known.unreachable_since IS NOT NULL
    RETURNING day, xmax = 0 AS new
)
SELECT day, count(*) FILTER (WHERE new), count(*) FILTER (WHERE NOT new) FROM written GROUP BY day

-- Commits that no branch reaches any more, and those that one reaches again. ids: where `whole`, all that is
-- reachable; otherwise what has just become unreachable.
UPDATE git_commits c
SET unreachable_since = CASE WHEN c.unreachable_since IS NULL THEN %(now)s::timestamptz END
WHERE c.repo_id = %(repo_id)s
  AND CASE WHEN %(whole)s THEN (c.unreachable_since IS NULL) <> EXISTS (SELECT FROM ids WHERE ids.sha = c.sha)
           ELSE c.unreachable_since IS NULL AND EXISTS (SELECT FROM ids WHERE ids.sha = c.sha) END
RETURNING c.day, c.unreachable_since IS NULL

-- The headlines of a pull request's commits, as GitHub's API tells them.
-- depends: 0014-commits

-- The last 20 of commits_total, oldest first; observed together with the files (files_observed_at).
ALTER TABLE pull_requests
    ADD COLUMN commit_headlines text[],
    ADD COLUMN commits_total integer;

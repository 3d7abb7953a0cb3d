-- What GitHub shows is not gone, and the newest look tells the changed files. The merge before has locked the rows, in
-- the order of their key.
UPDATE pull_requests i SET gone_at = NULL
FROM observed o
WHERE o.text_known AND i.repo_id = o.repo_id AND i.number = o.number AND i.gone_at IS NOT NULL;

UPDATE pull_requests i SET files = o.files, files_total = o.files_total, files_observed_at = o.observed_at
FROM observed o
WHERE o.files IS NOT NULL AND i.repo_id = o.repo_id AND i.number = o.number
  AND coalesce(i.files_observed_at, '-infinity') < o.observed_at;

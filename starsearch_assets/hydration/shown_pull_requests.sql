-- What GitHub shows is not gone, and the newest look tells the changed files and the commits; what it does not tell
-- stays. The merge before has locked the rows, in the order of their key.
UPDATE pull_requests i SET gone_at = NULL
FROM observed o
WHERE o.text_known AND i.repo_id = o.repo_id AND i.number = o.number AND i.gone_at IS NOT NULL;

-- Headlines may hold e-mail addresses, also one that GitHub has cut in its midst: then its word goes whole.
UPDATE pull_requests i
SET files = coalesce(o.files, i.files), files_total = coalesce(o.files_total, i.files_total),
    commit_headlines = CASE WHEN o.commit_headlines IS NULL THEN i.commit_headlines
                            ELSE coalesce(shown.headlines, '{}') END,
    commits_total = coalesce(o.commits_total, i.commits_total),
    files_observed_at = o.observed_at
FROM observed o, LATERAL (
    SELECT array_agg(left(headline, 200) ORDER BY place) FILTER (WHERE headline <> '') AS headlines
    FROM unnest(o.commit_headlines) WITH ORDINALITY told (raw, place),
         LATERAL (SELECT shown_text(regexp_replace(raw, '\S+@\S*\u2026\s*$', E'\u2026')) AS visible) seen,
         LATERAL (SELECT trim(regexp_replace(visible, '\s+', ' ', 'g')) AS headline) line
) shown
WHERE (o.files IS NOT NULL OR o.commit_headlines IS NOT NULL) AND i.repo_id = o.repo_id AND i.number = o.number
  AND coalesce(i.files_observed_at, '-infinity') < o.observed_at;

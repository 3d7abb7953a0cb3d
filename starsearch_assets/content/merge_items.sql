-- Merge the observations into {table}: in each group of fields the newest observation wins, and a group
-- that was not observed stays as it is. Any order of partitions ends in the same rows.
WITH newest_text AS (
    SELECT DISTINCT ON (number, repo_id) repo_id, number, title, body, observed_at, event_id
    FROM observed WHERE text_known ORDER BY number, repo_id, observed_at DESC, event_id DESC
), newest_state AS (
    SELECT DISTINCT ON (number, repo_id) repo_id, number, state, closed_at, observed_at, event_id
    FROM observed WHERE state IS NOT NULL ORDER BY number, repo_id, observed_at DESC, event_id DESC
), newest_labels AS (
    SELECT DISTINCT ON (number, repo_id) repo_id, number, labels, observed_at, event_id
    FROM observed WHERE labels IS NOT NULL ORDER BY number, repo_id, observed_at DESC, event_id DESC
), constant AS (
    SELECT repo_id, number, min(author_login) AS author_login,
           coalesce(bool_or(author_typed_bot OR author_login LIKE '%%[bot]'), false) AS author_is_bot,
           min(created_at) AS created_at, min(merged_at) AS merged_at, min(merged_by) AS merged_by,
           max(active_at) AS last_active_at
    FROM observed GROUP BY repo_id, number
)
INSERT INTO {table} AS known
    (repo_id, number, title, body, hydrated_at, hydrated_event, author_login, author_is_bot, created_at,
     state, closed_at, state_observed_at, state_event, labels, labels_observed_at, labels_event, last_active_at{merge_columns})
SELECT c.repo_id, c.number, t.title, t.body, t.observed_at, t.event_id, c.author_login,
       CASE WHEN c.author_login IS NOT NULL THEN c.author_is_bot END, c.created_at,
       s.state, s.closed_at, s.observed_at, s.event_id, l.labels, l.observed_at, l.event_id, c.last_active_at{merge_values}
FROM constant c
LEFT JOIN newest_text t USING (repo_id, number)
LEFT JOIN newest_state s USING (repo_id, number)
LEFT JOIN newest_labels l USING (repo_id, number)
ORDER BY c.repo_id, c.number
ON CONFLICT (repo_id, number) DO UPDATE SET
    (title, body, hydrated_at, hydrated_event) = (
        SELECT title, body, hydrated_at, hydrated_event
        FROM (VALUES (known.title, known.body, known.hydrated_at, known.hydrated_event),
                     (excluded.title, excluded.body, excluded.hydrated_at, excluded.hydrated_event))
             seen (title, body, hydrated_at, hydrated_event)
        ORDER BY hydrated_at DESC NULLS LAST, hydrated_event DESC NULLS LAST LIMIT 1),
    (state, closed_at, state_observed_at, state_event) = (
        SELECT state, closed_at, state_observed_at, state_event
        FROM (VALUES (known.state, known.closed_at, known.state_observed_at, known.state_event),
                     (excluded.state, excluded.closed_at, excluded.state_observed_at, excluded.state_event))
             seen (state, closed_at, state_observed_at, state_event)
        ORDER BY state_observed_at DESC NULLS LAST, state_event DESC NULLS LAST LIMIT 1),
    (labels, labels_observed_at, labels_event) = (
        SELECT labels, labels_observed_at, labels_event
        FROM (VALUES (known.labels, known.labels_observed_at, known.labels_event),
                     (excluded.labels, excluded.labels_observed_at, excluded.labels_event))
             seen (labels, labels_observed_at, labels_event)
        ORDER BY labels_observed_at DESC NULLS LAST, labels_event DESC NULLS LAST LIMIT 1),
    author_login = least(known.author_login, excluded.author_login),
    author_is_bot = greatest(known.author_is_bot, excluded.author_is_bot),
    created_at = least(known.created_at, excluded.created_at),
    last_active_at = greatest(known.last_active_at, excluded.last_active_at){merge_updates};

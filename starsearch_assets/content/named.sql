-- The newest repository that events have under each name asked for, and all that they have of each owner asked for, under
-- their newest names; never one that was forgotten.
(SELECT DISTINCT ON (a.name) a.name, e.repo_id, e.repo_name
 FROM asked a JOIN events e ON lower(e.repo_name) = lower(a.name)
 WHERE NOT EXISTS (SELECT FROM tombstones t WHERE t.subject = 'repository' AND t.subject_id = e.repo_id)
 ORDER BY a.name, e.created_at DESC, e.event_id DESC)
UNION ALL
(SELECT DISTINCT ON (e.repo_id) a.name, e.repo_id, e.repo_name
 FROM asked a JOIN events e ON lower(a.name) = lower(split_part(e.repo_name, '/', 1)) || '/*'
 WHERE NOT EXISTS (SELECT FROM tombstones t WHERE t.subject = 'repository' AND t.subject_id = e.repo_id)
 ORDER BY e.repo_id, e.created_at DESC, e.event_id DESC)

-- Deliveries of one chunk into their table: those that are new, and those that could not be used before and can now.
INSERT INTO deliveries AS known
    (sha256, event, type, action, repo_id, repo_name, actor_id, actor_login, payload, item_at, observed_at, renewed,
     received_at, sanitized, reason, run_id)
SELECT sha256, event, type, action, repo_id, repo_name, actor_id, actor_login, payload, item_at, observed_at, renewed,
       received_at, sanitized, reason, %(run_id)s
FROM incoming ORDER BY sha256
ON CONFLICT (sha256) DO UPDATE SET
    event = excluded.event, type = excluded.type, action = excluded.action, repo_id = excluded.repo_id,
    repo_name = excluded.repo_name, actor_id = excluded.actor_id, actor_login = excluded.actor_login,
    payload = excluded.payload, item_at = excluded.item_at, observed_at = excluded.observed_at,
    renewed = excluded.renewed, sanitized = excluded.sanitized, reason = excluded.reason, run_id = excluded.run_id
WHERE known.reason IS NOT NULL AND known.reason IS DISTINCT FROM excluded.reason
RETURNING sha256

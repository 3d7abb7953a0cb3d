-- Makes each item's content its current one, the one seen last, where it is not already.
INSERT INTO item_contents (kind, repo_id, ref, content_hash, run_id)
SELECT %(kind)s, w.repo_id, w.ref, w.content_hash, %(run_id)s
FROM unnest(%(repo_ids)s::bigint[], %(refs)s::text[], %(hashes)s::bytea[]) AS w (repo_id, ref, content_hash)
WHERE w.content_hash IS DISTINCT FROM (
    SELECT c.content_hash FROM item_contents c
    WHERE c.kind = %(kind)s AND c.repo_id = w.repo_id AND c.ref = w.ref
    ORDER BY c.seen_at DESC LIMIT 1)
ORDER BY w.repo_id, w.ref
ON CONFLICT (kind, repo_id, ref, content_hash) DO UPDATE SET seen_at = clock_timestamp(), run_id = excluded.run_id

-- The next deliveries of an hour that have no row yet, or a row that could not be used, as far as they fit the memory
-- that is set aside for their bodies; at least one.
SELECT received_at, inbox_id, sha256, headers, repo_id, body
FROM (
    SELECT received_at, inbox_id, sha256, headers, repo_id, body,
           sum(octet_length(body)) OVER (ORDER BY received_at, inbox_id) - octet_length(body) AS before
    FROM (
        SELECT i.received_at, i.inbox_id, i.sha256, i.headers, i.repo_id, i.body
        FROM service.inbox i LEFT JOIN deliveries d USING (sha256)
        WHERE i.source = 'webhook' AND i.received_at >= %(start)s AND i.received_at < %(end)s
          AND (i.received_at, i.inbox_id) > (%(after)s, %(after_id)s)
          AND (d.sha256 IS NULL OR d.reason IS NOT NULL)
        ORDER BY i.received_at, i.inbox_id LIMIT %(rows)s
    ) next
) sized
WHERE before < %(bytes)s
ORDER BY received_at, inbox_id

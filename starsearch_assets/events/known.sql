-- Keys of the events of some times: a row a type, 16 bytes an event (created_at, event_id), in binary.
SELECT type, string_agg(timestamptz_send(created_at) || int8send(event_id), ''::bytea)
FROM events WHERE created_at = ANY (%s::timestamptz[])
GROUP BY type

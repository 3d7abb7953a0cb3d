-- Verdicts that show something of a repository lose their tables of examples: `examples`, or `<model>: examples`.
UPDATE audits SET details = (
    SELECT coalesce(jsonb_object_agg(told.key, told.value), '{}') FROM jsonb_each(details) told
    WHERE told.key NOT LIKE '%%examples'
)
WHERE EXISTS (
    SELECT FROM jsonb_each(details) told
    CROSS JOIN jsonb_array_elements(CASE jsonb_typeof(told.value) WHEN 'array' THEN told.value ELSE '[]' END) shown
    WHERE told.key LIKE '%%examples' AND lower(substring(coalesce(shown ->> 'item', shown ->> 'repository') FROM '^[^#@]*')) = ANY (%s)
)

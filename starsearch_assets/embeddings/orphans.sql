-- Vectors of the space whose item is gone, or no longer tracked: how many there are, and the first of those with a name.
WITH orphans AS (
    SELECT v.repo_id, v.ref, r.name, v.document FROM {vectors} v LEFT JOIN repositories r USING (repo_id)
    WHERE NOT EXISTS (SELECT FROM items i WHERE i.kind = {kind} AND i.repo_id = v.repo_id AND i.ref = v.ref)
)
SELECT (SELECT count(*) FROM orphans), (SELECT count(*) FROM {vectors}), name || CASE {kind} WHEN 'release' THEN '@' ELSE '#' END || ref,
       'no such item'
FROM (SELECT 1) one LEFT JOIN (SELECT name, ref FROM orphans WHERE name IS NOT NULL ORDER BY name, ref LIMIT {examples}) shown
     ON true

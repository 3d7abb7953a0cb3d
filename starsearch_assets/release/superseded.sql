-- Items of an artifact that a newer month of the same space holds too, within one release.
INSERT INTO superseded (release_id, artifact_id, repo_id, ref)
SELECT {release}, {older}, o.repo_id, o.ref
FROM {older_table} o
WHERE EXISTS (SELECT FROM {newer_table} n WHERE n.repo_id = o.repo_id AND n.ref = o.ref)
ON CONFLICT DO NOTHING

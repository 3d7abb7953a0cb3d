-- What GitHub shows is not gone. The merge before has locked the rows, in the order of their key.
UPDATE issues i SET gone_at = NULL
FROM observed o
WHERE o.text_known AND i.repo_id = o.repo_id AND i.number = o.number AND i.gone_at IS NOT NULL;

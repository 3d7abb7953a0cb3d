-- Whose text a summary is of is looked up, however many items there are: by who asks for a component's items, and by what
-- forgets a repository.
-- depends: 0024-near-names

CREATE INDEX item_contents_content_hash ON item_contents (content_hash);
CREATE VIEW published.item_contents AS SELECT kind, repo_id, ref, content_hash FROM item_contents;

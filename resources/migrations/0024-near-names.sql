-- Repositories of the same owner, or of the same name, are offered where a name is not tracked.
-- depends: 0023-answer-costs

CREATE INDEX repositories_owner ON repositories (split_part(lower(name), '/', 1));
CREATE INDEX repositories_bare_name ON repositories (split_part(lower(name), '/', 2));

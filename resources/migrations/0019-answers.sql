-- Answers are found again for the same question, and tell how many sentences of the LLM nothing backed.
-- depends: 0018-insights

ALTER TABLE service.answers ADD COLUMN dropped integer NOT NULL DEFAULT 0;
ALTER TABLE service.answers ADD COLUMN cache_key bytea;  -- of everything that it depends on; NULL: never found again
CREATE INDEX answers_cache_key ON service.answers (cache_key, created_at) WHERE cache_key IS NOT NULL;

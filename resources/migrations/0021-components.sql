-- Items by a component that their summaries name are looked up, in any case, however many summaries there are.
-- depends: 0020-faces

CREATE FUNCTION lowered(text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT coalesce(array_agg(lower(word)), '{}') FROM unnest($1) AS word
$$;
CREATE INDEX summaries_components ON summaries USING gin (lowered(components)) WHERE components <> '{}';
CREATE OR REPLACE VIEW published.summaries AS
    SELECT content_hash, model, prompt_version, extractive, run_id, created_at, change_type, technologies, components,
           user_visible, lowered(components) AS component_keys
    FROM summaries;

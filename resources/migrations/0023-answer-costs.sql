-- What the LLM was asked for an answer, and what that cost; null: no price was set then.
-- depends: 0022-widgets

ALTER TABLE service.answers
    ADD COLUMN requests integer NOT NULL DEFAULT 0,
    ADD COLUMN tokens_in bigint NOT NULL DEFAULT 0,
    ADD COLUMN tokens_out bigint NOT NULL DEFAULT 0,
    ADD COLUMN dollars double precision;

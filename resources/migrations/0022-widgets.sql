-- What an answer draws of its measures is kept with it, so that it is drawn again.
-- depends: 0021-components

ALTER TABLE service.answers ADD COLUMN widgets jsonb NOT NULL DEFAULT '[]';

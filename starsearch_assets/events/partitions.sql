-- Empty partition of `events` for one day, adopted by ATTACH, which does not wait for readers.
CREATE TABLE starsearch.{partition} (LIKE starsearch.events INCLUDING ALL);
ALTER TABLE starsearch.events ATTACH PARTITION starsearch.{partition}
    FOR VALUES FROM ({start}) TO ({stop});

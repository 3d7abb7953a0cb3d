-- Adds to the row of a run, partition and version. A cost that is not known adds nothing to one that is.
INSERT INTO llm_usage AS spent (run_id, asset, partition, model, prompt_version, items, failed, requests, retries,
                                tokens_in, tokens_out, seconds, cost)
VALUES (%(run_id)s, %(asset)s, %(partition)s, %(model)s, %(prompt_version)s, %(items)s, %(failed)s, %(requests)s,
        %(retries)s, %(tokens_in)s, %(tokens_out)s, %(seconds)s, %(cost)s)
ON CONFLICT (run_id, asset, partition, model, prompt_version) DO UPDATE SET
    items = spent.items + excluded.items,
    failed = spent.failed + excluded.failed,
    requests = spent.requests + excluded.requests,
    retries = spent.retries + excluded.retries,
    tokens_in = spent.tokens_in + excluded.tokens_in,
    tokens_out = spent.tokens_out + excluded.tokens_out,
    seconds = spent.seconds + excluded.seconds,
    cost = coalesce(spent.cost + excluded.cost, spent.cost, excluded.cost),
    updated_at = clock_timestamp()

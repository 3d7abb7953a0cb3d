-- Webhook deliveries: what GitHub sends by itself, the moment that something happens.
-- depends: 0010-git

-- How requests to the webhook ended. event: GitHub's name of it, '-' where nobody proved to be GitHub.
CREATE TABLE service.webhook_counts (
    event   text NOT NULL,
    outcome text NOT NULL,
    count   bigint NOT NULL,
    last_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event, outcome)
);

-- The service has to know a tracked repository when it shows itself private.
GRANT SELECT ON published.repositories TO starsearch_service;

-- One delivery, read. sha256: of its body, as in the inbox: a redelivery is the same row. event: as GitHub calls it;
-- type: of the Events API's event that says the same. item_at: of the state of the item in it, by GitHub's own clock;
-- observed_at: of what it tells (a comment, a review, or the item), whose day is its day. Where several fell into one
-- second, the microseconds order them. renewed: what the API has to be asked for may have changed with it. reason: why it
-- could not be used; its payload is NULL then. News that a repository was hidden keep no id.
CREATE TABLE deliveries (
    sha256      bytea PRIMARY KEY,
    event       text NOT NULL,
    type        text,
    action      text,
    repo_id     bigint,
    repo_name   text,
    actor_id    bigint,
    actor_login text,
    payload     jsonb,
    item_at     timestamptz,
    observed_at timestamptz NOT NULL,
    renewed     boolean NOT NULL DEFAULT false,
    received_at timestamptz NOT NULL,
    sanitized   text,
    reason      text,
    run_id      text
);
CREATE INDEX deliveries_observed_at ON deliveries (observed_at) WHERE payload IS NOT NULL;
CREATE INDEX deliveries_repo_id ON deliveries (repo_id, item_at);
CREATE INDEX deliveries_received_at ON deliveries (received_at);

-- What deliveries observed, in the shape of events, with event id -1. One that carries a comment or a review observed
-- two things, each at its own time: the item as it stood, and what was said. told_at: the day both belong to.
CREATE VIEW delivered AS
SELECT observed_at AS told_at, item_at AS observed_at, CASE WHEN renewed THEN item_at END AS active_at,
       -1::bigint AS event_id, type, repo_id, actor_login, payload - '{comment,review}'::text[] AS payload
FROM deliveries WHERE payload IS NOT NULL
UNION ALL
SELECT observed_at, observed_at, NULL, -1, type, repo_id, actor_login,
       jsonb_build_object(
           'action', payload -> 'action', 'comment', payload -> 'comment', 'review', payload -> 'review',
           'pull_request', CASE WHEN payload ? 'pull_request'
                                THEN jsonb_build_object('number', payload #> '{pull_request,number}') END,
           'issue', CASE WHEN payload ? 'issue'
                         THEN jsonb_build_object('number', payload #> '{issue,number}',
                                                 'pull_request', payload #> '{issue,pull_request}') END)
FROM deliveries WHERE payload ?| '{comment,review}'::text[];

-- For the trace of a citation whose text a delivery brought.
CREATE VIEW published.item_deliveries AS
    SELECT item_at, repo_id, event, encode(sha256, 'hex') AS sha256, received_at, run_id,
           coalesce(payload #>> '{pull_request,number}', payload #>> '{issue,number}',
                    payload #>> '{release,tag_name}') AS ref
    FROM deliveries WHERE payload IS NOT NULL;
GRANT SELECT ON published.item_deliveries TO starsearch_tools;

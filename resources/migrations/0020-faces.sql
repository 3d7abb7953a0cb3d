-- Who may use the service and how much, and what they asked, thread by thread.
-- depends: 0019-answers

-- The owner makes and revokes keys; the service only looks them up. prefix: the beginning of the key, shown where the key
-- itself never is. per_minute, tokens_per_day: NULL: as the settings have it.
CREATE TABLE service.api_keys (
    key_id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text NOT NULL,
    prefix     text NOT NULL UNIQUE,
    sha256     bytea NOT NULL UNIQUE,
    scopes     text[] NOT NULL CHECK (scopes <> '{}'),
    per_minute integer CHECK (per_minute > 0),
    tokens_per_day bigint CHECK (tokens_per_day >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
REVOKE INSERT, UPDATE, DELETE ON service.api_keys FROM starsearch_service;

-- What a browser holds in a cookie instead of a key. sha256: of the cookie's value.
CREATE TABLE service.browser_sessions (
    sha256     bytea PRIMARY KEY,
    key_id     uuid NOT NULL REFERENCES service.api_keys ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

-- caller: whose requests are counted. full_at: when the caller has all requests of a minute again.
CREATE TABLE service.request_rates (
    caller  text PRIMARY KEY,
    full_at timestamptz NOT NULL
);
CREATE TABLE service.token_days (
    caller text NOT NULL,
    day    date NOT NULL,
    tokens bigint NOT NULL,
    PRIMARY KEY (caller, day)
);

-- owner: a key's id, the identity that a proxy told, or the SHA-256 of a browser's cookie. title: as somebody named it;
-- NULL: by its first question. share_id: whoever has it may read.
CREATE TABLE service.threads (
    thread_id  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    owner_kind text NOT NULL CHECK (owner_kind IN ('key', 'proxy', 'browser')),
    owner      text NOT NULL CHECK (owner <> ''),
    title      text,
    share_id   text UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX threads_owner ON service.threads (owner_kind, owner, updated_at DESC, thread_id DESC);

-- A question and its answer: two messages. They go together, also when an answer has to be forgotten.
CREATE TABLE service.turns (
    message_id  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    question_id uuid NOT NULL DEFAULT gen_random_uuid(),
    thread_id   uuid NOT NULL REFERENCES service.threads ON DELETE CASCADE,
    number      bigint GENERATED ALWAYS AS IDENTITY,
    question    text NOT NULL,
    answer_id   uuid NOT NULL REFERENCES service.answers ON DELETE CASCADE,
    cached      boolean NOT NULL,
    note        text,
    asked_at    timestamptz NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT now(),
    rating      text CHECK (rating IN ('up', 'down')),
    reason      text
);
CREATE INDEX turns_thread ON service.turns (thread_id, number);
CREATE INDEX turns_answer ON service.turns (answer_id);

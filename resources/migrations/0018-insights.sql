-- Who did what on which day, in tracked repositories; and who counts as one person.
-- depends: 0017-retrieval

-- Whether a person (@login, or a login) is a program's by its name. GitHub types apps as Bot and calls them [bot]; accounts
-- that programs use like people do have to be known: by an ending that nobody chooses for himself, or by name. NULL for
-- NULL without STRICT, which would keep it from being inlined: one call of many costs more than what it does.
CREATE FUNCTION published.is_bot_name(text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ltrim(lower($1), '@') LIKE ANY ('{%[bot], %-bot, %-robot, "%\\_bot", "%\\_robot"}') OR ltrim(lower($1), '@') = ANY ('{
        bors, claassistant, codeclimate, codecov, codecov-commenter, codecov-io, coveralls, dependabot, dependabot-preview,
        deepsource-autofix, gitter-badger, googlebot, homu, houndci, hubot, imgbot, istio-testing, mergify, msftbot, msftclas,
        renovate, restyled-io, rust-highfive, rust-timer, scala-steward, sonarcloud, tensorflow-jenkins, travis-ci, travisbot,
        waffle-iron, web-flow}')
$$;

-- Who authored commits, as git tells it, address included: what names are merged by. login: in lower case, '' where the
-- address does not tell one. Rows are never changed.
CREATE TABLE git_identities (
    repo_id bigint NOT NULL,
    name    text NOT NULL,
    address text NOT NULL,
    login   text NOT NULL,
    PRIMARY KEY (repo_id, name, address, login)
);

-- Overrides, as in git's .mailmap: `alias` (a person as below) is `person`; of itself: no rule merges it. repo_id 0: in
-- every repository.
CREATE TABLE person_overrides (
    repo_id    bigint NOT NULL DEFAULT 0,
    alias      text NOT NULL,
    person     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (repo_id, alias)
);

-- Who is whom, by the overrides and by rule (starsearch_assets/insights/people.py). rule: override, address or name. A row
-- of a repository goes before one with repo_id 0; where it says less than that one, its person is the alias itself.
CREATE TABLE same_people (
    repo_id bigint NOT NULL,
    alias   text NOT NULL,
    person  text NOT NULL,
    rule    text NOT NULL,
    PRIMARY KEY (repo_id, alias)
);

-- Days that were counted, also those on which nothing was done.
CREATE TABLE counted_days (
    day    date PRIMARY KEY,
    run_id text
);

-- What was done under a name on a day (UTC). person: @login in lower case, a name where no login is known, or '' where
-- nobody knows who. A pull request or issue that ended counts for its author; a commit for its author and each co-author,
-- a merge commit for nobody. Names are merged when they are read: published.contributor_days.
CREATE TABLE contributor_days (
    day     date NOT NULL,
    repo_id bigint NOT NULL,
    person  text NOT NULL,
    is_bot  boolean NOT NULL,
    commits                integer NOT NULL,
    pull_requests_opened   integer NOT NULL,
    pull_requests_merged   integer NOT NULL,
    pull_requests_closed   integer NOT NULL,  -- without a merge
    reviews                integer NOT NULL,
    review_comments        integer NOT NULL,
    issues_opened          integer NOT NULL,
    issues_closed          integer NOT NULL,
    comments               integer NOT NULL,
    releases               integer NOT NULL,
    run_id  text,
    -- With the counts: days come one after the other, so that a repository's rows lie in as many pages as it has days.
    PRIMARY KEY (repo_id, day, person) INCLUDE (
        is_bot, commits, pull_requests_opened, pull_requests_merged, pull_requests_closed, reviews, review_comments,
        issues_opened, issues_closed, comments, releases)
);
CREATE INDEX contributor_days_day ON contributor_days (day);
CREATE INDEX contributor_days_person ON contributor_days (person, day);
CREATE INDEX contributor_days_unknown ON contributor_days (repo_id, day) WHERE person = '';

-- On which day a name was first seen at work in a repository, in what was taken in so far.
CREATE TABLE first_contributions (
    repo_id bigint NOT NULL,
    person  text NOT NULL,
    day     date NOT NULL,
    PRIMARY KEY (repo_id, person) INCLUDE (day)
);

-- On which day a person first starred or forked a repository.
CREATE TABLE first_interests (
    repo_id bigint NOT NULL,
    person  text NOT NULL,
    what    text NOT NULL CHECK (what IN ('star', 'fork')),
    day     date NOT NULL,
    PRIMARY KEY (repo_id, what, person)
);
CREATE INDEX first_interests_day ON first_interests (repo_id, day);

-- Pushes to main or master beside which no pull request was merged into that branch.
CREATE TABLE unreviewed_pushes (
    repo_id   bigint NOT NULL,
    day       date NOT NULL,
    pushed_at timestamptz NOT NULL,
    event_id  bigint NOT NULL,
    person    text NOT NULL,
    is_bot    boolean NOT NULL,
    branch    text NOT NULL,
    head      text NOT NULL,
    PRIMARY KEY (repo_id, day, pushed_at, event_id) INCLUDE (person, is_bot, head)
);
CREATE INDEX unreviewed_pushes_day ON unreviewed_pushes (day);

-- How long what ended waiting on a day (UTC) had waited since it was opened: for the first answer by somebody else who is
-- no bot (a comment or a review), or for its merge. ref: number of the pull request or issue.
CREATE TABLE waits (
    repo_id bigint NOT NULL,
    what    text NOT NULL CHECK (what IN ('pull_request_answer', 'issue_answer', 'merge')),
    day     date NOT NULL,
    ref     text NOT NULL,
    seconds bigint NOT NULL,
    PRIMARY KEY (repo_id, what, day, ref) INCLUDE (seconds)
);
CREATE INDEX waits_day ON waits (day);

-- What a repository saw on a day (UTC), by everybody, bots and unknown people as well. stars, forks, pushes: of events.
CREATE TABLE repository_days (
    day     date NOT NULL,
    repo_id bigint NOT NULL,
    stars                  integer NOT NULL,
    forks                  integer NOT NULL,
    pushes                 integer NOT NULL,
    main_pushes            integer NOT NULL,
    commits                integer NOT NULL,
    pull_requests_opened   integer NOT NULL,
    pull_requests_merged   integer NOT NULL,
    pull_requests_closed   integer NOT NULL,
    reviews                integer NOT NULL,
    review_comments        integer NOT NULL,
    issues_opened          integer NOT NULL,
    issues_closed          integer NOT NULL,
    comments               integer NOT NULL,
    releases               integer NOT NULL,
    run_id  text,
    PRIMARY KEY (repo_id, day) INCLUDE (main_pushes, pull_requests_merged, pull_requests_closed)
);
CREATE INDEX repository_days_day ON repository_days (day);

CREATE VIEW published.same_people AS SELECT s.* FROM same_people s;
CREATE VIEW published.counted_days AS SELECT day FROM counted_days;
-- person: who the name counts as; alias: the name under which it was told.
CREATE VIEW published.contributor_days AS
    SELECT d.day, d.repo_id, coalesce(own.person, everywhere.person, d.person) AS person, d.person AS alias, d.is_bot,
           d.commits, d.pull_requests_opened, d.pull_requests_merged, d.pull_requests_closed, d.reviews, d.review_comments,
           d.issues_opened, d.issues_closed, d.comments, d.releases
    FROM contributor_days d JOIN repositories USING (repo_id)
    LEFT JOIN same_people own ON own.repo_id = d.repo_id AND own.alias = d.person
    LEFT JOIN same_people everywhere ON everywhere.repo_id = 0 AND everywhere.alias = d.person;
CREATE VIEW published.first_contributions AS
    SELECT f.repo_id, coalesce(own.person, everywhere.person, f.person) AS person, f.day
    FROM first_contributions f JOIN repositories USING (repo_id)
    LEFT JOIN same_people own ON own.repo_id = f.repo_id AND own.alias = f.person
    LEFT JOIN same_people everywhere ON everywhere.repo_id = 0 AND everywhere.alias = f.person;
CREATE VIEW published.repository_days AS
    SELECT d.* FROM repository_days d JOIN repositories USING (repo_id);
CREATE VIEW published.waits AS
    SELECT w.* FROM waits w JOIN repositories USING (repo_id);
CREATE VIEW published.first_interests AS
    SELECT f.repo_id, coalesce(own.person, everywhere.person, f.person) AS person, f.what, f.day
    FROM first_interests f JOIN repositories USING (repo_id)
    LEFT JOIN same_people own ON own.repo_id = f.repo_id AND own.alias = f.person
    LEFT JOIN same_people everywhere ON everywhere.repo_id = 0 AND everywhere.alias = f.person;
CREATE VIEW published.unreviewed_pushes AS
    SELECT p.repo_id, p.day, p.pushed_at, coalesce(own.person, everywhere.person, p.person) AS person, p.is_bot,
           p.branch, p.head
    FROM unreviewed_pushes p JOIN repositories USING (repo_id)
    LEFT JOIN same_people own ON own.repo_id = p.repo_id AND own.alias = p.person
    LEFT JOIN same_people everywhere ON everywhere.repo_id = 0 AND everywhere.alias = p.person;

-- What was read of an hour, and of a day how much of GitHub's own count it was.
CREATE VIEW published.hours AS
    SELECT hour, bool_or(status = 'loaded') AS is_read FROM ingest_ledger GROUP BY hour;
CREATE VIEW published.captures AS
    SELECT day, items, known FROM reconciliations WHERE finished_at IS NOT NULL;

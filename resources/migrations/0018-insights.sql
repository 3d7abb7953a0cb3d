-- Who did what on which day, in tracked repositories; and who counts as one person.
-- depends: 0017-retrieval

-- Overrides, as in git's .mailmap: `alias` (a person as below) is `person`. repo_id 0: in every repository.
CREATE TABLE person_overrides (
    repo_id    bigint NOT NULL DEFAULT 0,
    alias      text NOT NULL,
    person     text NOT NULL CHECK (person <> alias),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (repo_id, alias)
);

-- What a person did on a day (UTC). person: @login in lower case, or a name where no login is known. A pull request that
-- was merged or closed counts for its author; a commit for its author and each co-author, a merge commit for nobody.
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
    PRIMARY KEY (repo_id, day, person)
);
CREATE INDEX contributor_days_day ON contributor_days (day);
CREATE INDEX contributor_days_person ON contributor_days (person, day);

-- On which day a person was first seen at work in a repository, in what was taken in so far.
CREATE TABLE first_contributions (
    repo_id bigint NOT NULL,
    person  text NOT NULL,
    day     date NOT NULL,
    PRIMARY KEY (repo_id, person)
);
CREATE INDEX first_contributions_day ON first_contributions (repo_id, day);

-- What a repository saw on a day (UTC), by everybody, bots and unknown people as well. stars, forks, pushes: of events.
-- answered: pull requests and issues that somebody else, no bot, answered for the first time on the day (a comment or a
-- review), and the median of what they had waited; merge_seconds: the median from opening to merge of those merged.
CREATE TABLE repository_days (
    day     date NOT NULL,
    repo_id bigint NOT NULL,
    stars                  integer NOT NULL,
    forks                  integer NOT NULL,
    pushes                 integer NOT NULL,
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
    answered               integer NOT NULL,
    answer_seconds         integer,
    merge_seconds          integer,
    run_id  text,
    PRIMARY KEY (repo_id, day)
);
CREATE INDEX repository_days_day ON repository_days (day);

CREATE VIEW published.contributor_days AS
    SELECT d.* FROM contributor_days d JOIN repositories USING (repo_id);
CREATE VIEW published.first_contributions AS
    SELECT f.* FROM first_contributions f JOIN repositories USING (repo_id);
CREATE VIEW published.repository_days AS
    SELECT d.*, (SELECT count(*) FROM first_contributions f JOIN contributor_days p USING (repo_id, person, day)
                 WHERE f.repo_id = d.repo_id AND f.day = d.day AND NOT p.is_bot)::integer AS new_contributors
    FROM repository_days d JOIN repositories USING (repo_id);

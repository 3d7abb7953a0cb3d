#!/usr/bin/env bash
# Makes the namespace and its Secrets (table in deploy/README.md) with passwords that nobody is told, in kind alone.
set -euo pipefail
context=kind-starsearch
in_namespace() { kubectl --context "$context" -n starsearch "$@"; }
host=starsearch-postgres-rw:5432

kubectl --context "$context" create namespace starsearch
for role in owner service tools; do
    password=$(openssl rand -hex 24)
    declare "$role=$password"
    in_namespace create secret generic "starsearch-postgres-$role" --type=kubernetes.io/basic-auth \
        --from-file=username=<(printf 'starsearch_%s' "$role") --from-file=password=<(printf '%s' "$password") >/dev/null
done
# shellcheck disable=SC2154 # declared in the loop
in_namespace create secret generic starsearch-database \
    --from-file=DATABASE_URL=<(printf 'postgresql://starsearch_owner:%s@%s/starsearch' "$owner" "$host") \
    --from-file=DAGSTER_DATABASE_URL=<(printf 'postgresql://starsearch_owner:%s@%s/dagster' "$owner" "$host") >/dev/null
# shellcheck disable=SC2154
in_namespace create secret generic starsearch-service-database \
    --from-file=SERVICE_DATABASE_URL=<(printf 'postgresql://starsearch_service:%s@%s/starsearch' "$service" "$host") \
    --from-file=TOOLS_DATABASE_URL=<(printf 'postgresql://starsearch_tools:%s@%s/starsearch' "$tools" "$host") >/dev/null
in_namespace create secret generic dagster-postgresql \
    --from-file=postgresql-password=<(printf '%s' "$owner") >/dev/null
echo "Secrets of namespace starsearch are there."

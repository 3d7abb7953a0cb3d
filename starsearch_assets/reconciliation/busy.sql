-- Pages beyond the first that the day's known activity will take, by repository and kind.
SELECT coalesce(sum(ceil((items - %(first)s) / %(more)s::numeric)), 0)::integer
FROM (SELECT count(*) AS items FROM activity
      WHERE day = %(day)s AND kind IN ('pull_request', 'issue') GROUP BY kind, repo_id) busy
WHERE items > %(first)s

-- Days with activity of a kind whose vectors a space lacks. A verdict that is older than another space's, by another
-- run, is of a day that this space missed: its model failed then.
SELECT d.day
FROM (SELECT DISTINCT day FROM activity WHERE kind = %(kind)s) d
LEFT JOIN newest_audits v ON v.asset = %(asset)s AND v.check_name = %(gate)s::text AND v.partition = d.day::text
WHERE v.passed IS NOT TRUE OR EXISTS (
    SELECT FROM newest_audits later
    WHERE later.asset = %(asset)s AND later.check_name = ANY (%(gates)s) AND later.partition = v.partition
      AND later.audited_at > v.audited_at AND later.run_id IS DISTINCT FROM v.run_id)
ORDER BY d.day

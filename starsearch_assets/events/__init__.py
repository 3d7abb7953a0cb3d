"""Events: hour files, line by line, into the table `events` and its ledger."""

"""The firehose: hour files to rows, with ledger and rejects."""

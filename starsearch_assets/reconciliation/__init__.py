"""What GitHub says happened on a day, against what the events told."""

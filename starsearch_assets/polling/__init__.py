"""GitHub's Events API, followed live: feeds are polled as a plan says, and what they bring goes to the inbox."""

"""Search releases: judged as a whole, activated in one step, taken back in one step."""

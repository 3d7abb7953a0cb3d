"""Who did what in tracked repositories, day by day: what every measure of people and projects is computed from."""

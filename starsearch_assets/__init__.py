"""Top floor: the asset graph, one folder a stage in the order in which data flows, and the commands."""

"""First floor: retrieval, evidence, answers, and the service that gives them out. Knows nothing of dagster."""

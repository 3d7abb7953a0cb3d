"""Agents: a manager that calls specialists, specialists that call tools, and their budget."""

"""Vectors of the served documents, in embedding spaces, audited."""

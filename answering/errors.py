"""The error base of the first floor."""


class AnsweringError(Exception):
    """A question cannot be answered for a reason that the asker, or the operator, can do something about."""


class NoActiveRelease(AnsweringError):
    """Nothing has been published yet."""


class ScopeError(AnsweringError):
    """A scope names a repository or a time that cannot be used."""


class ModelMismatch(AnsweringError):
    """The embedding model that a release was built with is not registered, or is another one by now."""

"""The answering service over HTTP."""

from answering.http.app import create_app

__all__ = ["create_app"]

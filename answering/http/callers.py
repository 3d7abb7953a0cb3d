"""Who sends a request: a key, an identity that a proxy vouches for, or somebody anonymous with a browser's cookie."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from typing import Literal

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response

from answering.http.problems import Refused
from answering.http.service_database import ServiceDatabase
from answering.keys import BEGINNING, SCOPES, digest
from answering.threads import Owner
from resources.errors import ConfigurationError
from resources.settings import Settings

SESSION_COOKIE = "starsearch_session"
BROWSER_COOKIE = "starsearch_browser"
SESSION_SECONDS = 12 * 3600
PROXY_SECRET_HEADER = "X-Proxy-Secret"  # noqa: S105  (a header's name)
ANONYMOUS: Literal["anonymous"] = "anonymous"
_BROWSER_SECONDS = 365 * 24 * 3600
_LONGEST_IDENTITY = 320
_SHORTEST_SECRET = 16
_TOKEN_LENGTHS = range(40, 65)

_KEY = "k.key_id::text, k.name, k.prefix, k.scopes, k.per_minute, k.tokens_per_day"


@dataclass(frozen=True)
class Caller:
    """Who asks, for what, and how much.

    id: a key's id, an identity, the digest of a browser's cookie; empty: anonymous without one. label: what logs show.
    per_minute: requests; tokens_per_day: of the LLM, None: not limited.
    """

    identity: Literal["anonymous", "key", "proxy"]
    id: str
    name: str
    scopes: frozenset[str]
    per_minute: int
    tokens_per_day: int | None
    label: str

    @property
    def owner(self) -> Owner:
        """To whom the caller's threads belong."""
        return Owner("browser" if self.identity == "anonymous" else self.identity, self.id)

    @property
    def account(self) -> str:
        """Under which requests and tokens are counted; of anonymous tokens there is one account."""
        return ANONYMOUS if self.identity == ANONYMOUS else f"{self.identity}:{self.id}"

    def require(self, scope: str) -> None:
        """Raises Refused (403) where the caller may not do what `scope` stands for."""
        if scope not in self.scopes:
            raise Refused(403, f"This needs the scope {scope}, which the key does not have: ask for one that has it.")


class Callers:
    """Finds out who sends a request. host: to which the service is bound; it decides on anonymous use.

    anonymous_allowed: whether somebody without a key may ask; local: and only from this machine.
    """

    def __init__(self, settings: Settings, database: ServiceDatabase, host: str) -> None:
        self._settings, self._database = settings, database
        loopback, told = is_loopback(host), settings.anonymous_access
        self.anonymous_allowed = loopback if told is None else told
        self.local = loopback and self.anonymous_allowed
        self._proxy_secret = None if settings.proxy_secret is None else settings.proxy_secret.get_secret_value()
        if settings.identity_header is not None and len(self._proxy_secret or "") < _SHORTEST_SECRET:
            raise ConfigurationError(
                f"IDENTITY_HEADER is set without a PROXY_SECRET of at least {_SHORTEST_SECRET} characters: without it"
                f" anybody could send that header. Set it here, and have the proxy send it as {PROXY_SECRET_HEADER}."
            )

    def of(self, connection: HTTPConnection) -> Caller:
        """Who sends this request.

        Raises:
            Refused: 401, for credentials that are not good (any more). Cookies that are not count as none.
            DatabaseUnavailable, psycopg.OperationalError: it cannot be found out.
        """
        headers = connection.headers
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and (token.startswith(BEGINNING) or not self.anonymous_allowed):
            return self._of_key(token.strip())
        if session := connection.cookies.get(SESSION_COOKIE):
            rows = self._database().fetch_all(
                f"SELECT {_KEY} FROM browser_sessions s JOIN api_keys k USING (key_id) WHERE s.sha256 = %s"
                " AND s.expires_at > now() AND k.revoked_at IS NULL AND coalesce(k.expires_at > now(), true)",
                [digest(session)],
            )
            if rows:
                return self._caller(*rows[0])
        identity = self._identity(headers)
        if identity is not None:
            settings = self._settings
            return Caller("proxy", identity, identity, frozenset(SCOPES), settings.rate_per_minute,
                          settings.tokens_per_day, "proxy")  # fmt: skip
        return self.anonymous(connection.cookies.get(BROWSER_COOKIE, ""))

    def anonymous(self, cookie: str = "") -> Caller:
        """Somebody without credentials; without scopes where anonymous use is not allowed."""
        known = digest(cookie).hex() if len(cookie) in _TOKEN_LENGTHS else ""
        scopes = frozenset(SCOPES) if self.anonymous_allowed else frozenset[str]()
        settings = self._settings
        return Caller(ANONYMOUS, known, "", scopes, settings.rate_per_minute, settings.anonymous_tokens_per_day,
                      ANONYMOUS)  # fmt: skip

    def begin_session(self, key: str) -> tuple[Caller, str]:
        """Whose key it is, and the cookie that stands for it for twelve hours.

        Raises:
            Refused: 401, the key is not good.
        """
        caller, token = self._of_key(key), secrets.token_urlsafe(32)
        self._database().execute(
            "INSERT INTO browser_sessions (sha256, key_id, expires_at)"
            " VALUES (%s, %s, now() + make_interval(secs => %s))",
            [digest(token), caller.id, SESSION_SECONDS],
        )
        return caller, token

    def end_session(self, token: str) -> None:
        """What a cookie stood for ends."""
        self._database().execute("DELETE FROM browser_sessions WHERE sha256 = %s", [digest(token)])

    def _of_key(self, key: str) -> Caller:
        rows = self._database().fetch_all(
            f"SELECT k.revoked_at IS NOT NULL, coalesce(k.expires_at <= now(), false), {_KEY} FROM api_keys k"
            " WHERE k.sha256 = %s",
            [digest(key)],
        )
        if not rows:
            raise unauthorized(
                "The key is not known here: `starsearch keys list` shows the beginnings of those that are."
            )
        revoked, expired, *known = rows[0]
        if revoked or expired:
            raise unauthorized(f"The key {known[2]}… {'was revoked' if revoked else 'has expired'}: ask for a new one.")
        return self._caller(*known)

    def _caller(
        self, key_id: str, name: str, prefix: str, scopes: list[str], per_minute: int | None, tokens: int | None
    ) -> Caller:
        settings = self._settings
        return Caller(
            "key", key_id, name, frozenset(scopes), per_minute or settings.rate_per_minute,
            settings.tokens_per_day if tokens is None else tokens, f"key:{prefix}",
        )  # fmt: skip

    def _identity(self, headers: Headers) -> str | None:
        """Whom the proxy names; None where there is no proxy, or it names nobody."""
        name = self._settings.identity_header
        if name is None or self._proxy_secret is None:
            return None
        told = [value.strip() for value in headers.getlist(name) if value.strip()]
        if not told:
            return None
        secret = headers.get(PROXY_SECRET_HEADER, "")
        if not hmac.compare_digest(secret.encode(), self._proxy_secret.encode()):
            raise unauthorized(f"The header {name} came without the proxy's secret ({PROXY_SECRET_HEADER}).")
        if len(set(told)) > 1 or len(told[0]) > _LONGEST_IDENTITY:
            raise unauthorized(f"Expected one identity of at most {_LONGEST_IDENTITY} characters in the header {name}.")
        return told[0]


def unauthorized(detail: str) -> Refused:
    """401, with how to be authorized."""
    return Refused(401, detail, WWW_Authenticate="Bearer")


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def set_session_cookie(connection: HTTPConnection, response: Response, token: str) -> None:
    """Not for scripts, and not sent along from other sites."""
    _set_cookie(connection, response, SESSION_COOKIE, token, SESSION_SECONDS, "strict")


def new_browser(connection: HTTPConnection, response: Response) -> Owner:
    """Give a browser its cookie; returns to whom its threads belong."""
    token = secrets.token_urlsafe(32)
    _set_cookie(connection, response, BROWSER_COOKIE, token, _BROWSER_SECONDS, "lax")
    return Owner("browser", digest(token).hex())


def _set_cookie(
    connection: HTTPConnection, response: Response, name: str, value: str, seconds: int,
    same_site: Literal["lax", "strict"],
) -> None:  # fmt: skip
    """A proxy that ends TLS says so; whoever lies about it harms only a cookie of their own."""
    schemes = (connection.scope["scheme"], connection.headers.get("x-forwarded-proto", "").partition(",")[0].strip())
    response.set_cookie(
        name, value, max_age=seconds, path="/", httponly=True, samesite=same_site, secure="https" in schemes
    )

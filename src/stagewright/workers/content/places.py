"""Where a source is: a local path or an http(s) address, and how one names another.

A document from the network may name only addresses on the network. Otherwise a feed list that a stranger publishes
could make the server read its own files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

ADDRESS_CHARS_MAX = 2_000
_REMOTE = ("http", "https")


class Unusable(ValueError):
    """A source that cannot be a place; the message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Either `path` (local, absolute) or `address` (http or https) is set."""

    path: Path | None = None
    address: str | None = None

    @property
    def url(self) -> str:
        """Return the place as a URL: `file://…` for a path."""
        return self.address if self.address is not None else self.local.as_uri()

    @property
    def local(self) -> Path:
        """Return the path of a local place."""
        assert self.path is not None, f"{self.address} is not local"
        return self.path

    @property
    def name(self) -> str:
        """Return a short name for people: the file name, or the host and path."""
        if self.path is not None:
            return self.path.name
        parts = urlsplit(self.address or "")
        return f"{parts.hostname or ''}{parts.path.rstrip('/')}"


def locate(text: str, base: Place | None = None) -> Place:
    """Turn what a user or a document wrote into a place; a relative one is taken from `base`.

    Without a base, a relative path is taken from the working directory. Raises `Unusable`.
    """
    text = text.strip()
    if not text or len(text) > ADDRESS_CHARS_MAX or "\0" in text:
        raise Unusable(f"expected an address or path of 1 to {ADDRESS_CHARS_MAX} characters")
    if base is not None and base.address is not None:
        return _remote(_joined(base.address, text))
    scheme = text.split("://", 1)[0].casefold() if "://" in text else ""
    if scheme in _REMOTE:
        return _remote(text)
    if scheme == "feed":
        return _remote("https://" + text.split("://", 1)[1])
    if scheme == "file":
        return _local(Path(unquote(urlsplit(text).path)), base)
    if scheme:
        raise Unusable(f"expected a path or an http(s) address, found the scheme {scheme}")
    return _local(Path(text), base)


def _joined(base: str, text: str) -> str:
    try:
        return urljoin(base, text)
    except ValueError as error:
        raise Unusable(f"not an address: {error}") from error


def _local(path: Path, base: Place | None) -> Place:
    try:
        if not path.is_absolute() and base is not None and base.path is not None:
            path = base.path.parent / path
        return Place(path=path.expanduser().resolve())
    except (OSError, RuntimeError, ValueError) as error:
        raise Unusable(f"not a path: {error}") from error


def _remote(address: str) -> Place:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Unusable(f"not an address: {error}") from error
    if parts.scheme.casefold() not in _REMOTE:
        raise Unusable("a document from the network may name only http(s) addresses")
    if not host:
        raise Unusable("the address has no host")
    # The fragment never reaches the server, so two addresses that differ only there are one.
    return Place(address=urlunsplit((parts.scheme.casefold(), parts.netloc, parts.path or "/", parts.query, "")))

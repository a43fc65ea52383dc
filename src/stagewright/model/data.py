"""Data by reference: where a value lies that is too large to travel inline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

StorageType = Literal["inline", "kv", "object"]

INLINE_BYTES_MAX = 16 * 1024
KV_BYTES_MAX = 1024 * 1024

MARKER = "$data_ref"


@dataclass(frozen=True, slots=True)
class DataRef:
    """Bytes somewhere: a key in a tier, their number and their SHA-256. `expires_at` in microseconds, or None."""

    storage_type: StorageType
    storage_key: str
    size_bytes: int
    checksum: str  # `sha256:` and 64 hex digits
    expires_at: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Shape it as in a packet."""
        return {
            "storage_type": self.storage_type,
            "storage_key": self.storage_key,
            "size_bytes": self.size_bytes,
            "checksum": self.checksum,
            "expires_at": self.expires_at,
        }

    def as_marker(self) -> dict[str, Any]:
        """Shape it as it stands inside a JSON value in place of the value that it refers to."""
        return {MARKER: self.as_json()}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> DataRef:
        """Read what `as_json` wrote; KeyError when a field is missing."""
        return DataRef(
            value["storage_type"],
            value["storage_key"],
            value["size_bytes"],
            value["checksum"],
            value.get("expires_at"),
        )


def checksum_of(content: bytes) -> str:
    """Return the SHA-256 of the bytes in OCI form."""
    return "sha256:" + sha256(content).hexdigest()


def tier_of(size_bytes: int) -> StorageType:
    """Return the tier that a value of this size belongs to."""
    if size_bytes <= INLINE_BYTES_MAX:
        return "inline"
    return "kv" if size_bytes <= KV_BYTES_MAX else "object"

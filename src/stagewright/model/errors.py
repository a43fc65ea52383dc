"""Every refusal of the product, with one stable code and one HTTP status each.

    Refusal                              what was asked cannot be done; nothing was changed
    ├── Malformed           400 malformed            the bytes are not what they claim to be
    ├── Invalid             422 invalid              a document, parameters or a body with listed problems
    │   ├── InvalidDocument 422 invalid_document     a pipeline document
    │   └── KeyReused       422 idempotency_key_reused  the key came with another payload before
    ├── NotFound            404 not_found            the id is unknown
    │   └── UnknownPipeline 404 unknown_pipeline
    ├── WrongState          409 wrong_state          the execution is not in a state that allows it
    │   └── RequestConflict 409 request_conflict     the request id came with another body before
    ├── TooLarge            413 too_large            over a bound; the bound is named
    └── Stalled             503 stalled              cannot be made durable now; try again later
    Trouble                              the world outside failed; retried by a policy with a bound
    ├── StoreTrouble        503 store_trouble
    │   ├── BadRows         500 bad_rows             the database refuses what one execution wants to write
    │   ├── Fenced          503 fenced               this node has been declared dead; the process must end
    │   └── SyncFailed      503 sync_failed          nobody knows what the disk holds; the process must end
    ├── ObjectTrouble       503 object_trouble       the object store cannot be read or written now
    ├── DataLost            500 data_lost            a data reference does not resolve to its bytes
    └── Misconfigured       –                        settings stop the start, all of them named at once

A failed step is no exception but a value: `model.execution.Failure`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: what was expected, what was found and the mend, and where."""

    detail: str
    pointer: str = ""  # JSON pointer as a URI fragment, `#/stages/0/worker`; empty for the whole
    line: int | None = None  # 1-based, for documents that have lines

    def as_json(self) -> dict[str, object]:
        """Shape it as one item of `errors` in a problem document."""
        body: dict[str, object] = {"detail": self.detail, "pointer": self.pointer}
        if self.line is not None:
            body["line"] = self.line
        return body


class StagewrightError(Exception):
    """The root of the tree; never raised itself."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, problems: Sequence[Problem] = (), *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.problems = tuple(problems)
        self.retry_after_s = retry_after_s


class Refusal(StagewrightError):
    """What was asked cannot be done; nothing was changed."""

    code, status, title = "refused", 400, "The request was refused"


class Malformed(Refusal):
    """The bytes are not what they claim to be (JSON, YAML, a number in a query)."""

    code, status, title = "malformed", 400, "The request cannot be read"


class Invalid(Refusal):
    """A body, parameters or settings with listed problems."""

    code, status, title = "invalid", 422, "The request is not valid"


class InvalidDocument(Invalid):
    """A pipeline document; `problems` lists all that is wrong with it."""

    code, title = "invalid_document", "The pipeline document is not valid"


class KeyReused(Invalid):
    """The same idempotency key came with another payload before."""

    code, title = "idempotency_key_reused", "The idempotency key was used for another request"


class NotFound(Refusal):
    """The id is unknown."""

    code, status, title = "not_found", 404, "There is no such thing"


class UnknownPipeline(NotFound):
    """No pipeline of that name or version is registered."""

    code, title = "unknown_pipeline", "There is no such pipeline"


class WrongState(Refusal):
    """The execution is not in a state that allows it."""

    code, status, title = "wrong_state", 409, "The execution is in another state"


class RequestConflict(WrongState):
    """The request id of this client came with another body before."""

    code, title = "request_conflict", "The request id was used for another request"


class TooLarge(Refusal):
    """Over a bound; the message names the bound and its setting."""

    code, status, title = "too_large", 413, "The content is too large"


class Stalled(Refusal):
    """The journal cannot make anything durable now; try again after `retry_after_s`."""

    code, status, title = "stalled", 503, "The service cannot accept work now"


class Trouble(StagewrightError):
    """The world outside failed."""

    code, status, title = "trouble", 503, "Something this service needs is not working"


class StoreTrouble(Trouble):
    """The database did not do what was asked within its bound."""

    code, title = "store_trouble", "The database is not working"


class BadRows(StoreTrouble):
    """The database refuses a row for what it holds; sending it again would not help."""

    code, status, title = "bad_rows", 500, "The database refused a row"


class Fenced(StoreTrouble):
    """This node has been declared dead by another; it must not write again."""

    code, title = "fenced", "This node no longer owns its executions"


class SyncFailed(StoreTrouble):
    """The disk refused to make a write durable. What it holds is unknown until the database is opened anew."""

    code, title = "sync_failed", "The disk does not keep what is written"


class ObjectTrouble(Trouble):
    """The object store cannot be read or written now: its disk is full, slow or gone."""

    code, title = "object_trouble", "The object store is not working"


class DataLost(Trouble):
    """A data reference does not resolve to bytes with its checksum."""

    code, status, title = "data_lost", 500, "Stored data is missing or damaged"


class Misconfigured(StagewrightError):
    """Settings stop the start; `problems` names all of them at once."""

    code, status, title = "misconfigured", 500, "The configuration is not valid"

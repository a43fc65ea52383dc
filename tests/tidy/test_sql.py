"""Every query has a name and a why, every read has a bound, and one that polls says which index it walks.

The form, in `store/sql/*.sql`: a line `-- name: load_steps`, then one or more comment lines that say why the query
exists, then the statement. A query whose why says "polls" is asked again and again while nothing happens. Migrations
are scripts and exempt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.tidy.tree import report, text_of, tracked

FOLDER = "src/stagewright/store/sql/"
NAME = re.compile(r"^-- name: (\S+)\s*$", re.MULTILINE)
WHY_CHARS_MIN = 15


@dataclass(frozen=True, slots=True)
class Query:
    """One named statement."""

    where: str
    name: str
    why: str
    statement: str


def queries(path: str, text: str) -> list[Query]:
    """Cut a file at its name lines; what stands before the first is the file's own comment."""
    parts = NAME.split(text)
    found = []
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        lines = body.strip().splitlines()
        comment = [line for line in lines if line.startswith("--")]
        why = " ".join(line.removeprefix("--").strip() for line in comment)
        statement = "\n".join(line for line in lines if not line.startswith("--")).strip()
        found.append(Query(f"{path}: {name}", name, why, statement))
    return found


def sql_problems(path: str, text: str) -> list[str]:
    """Name what a file of queries lacks."""
    found = queries(path, text)
    problems = []
    before = NAME.split(text)[0]
    if any(line.strip() and not line.startswith("--") for line in before.splitlines()):
        problems.append(f"{path}: a statement without a name: expected `-- name: what_it_does` above it")
    names = [query.name for query in found]
    problems += [
        f"{path}: two queries of one name: {name}" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    for query in found:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", query.name):
            problems.append(f"{query.where}: expected a name in snake_case")
        if len(query.why) < WHY_CHARS_MIN:
            problems.append(f"{query.where}: expected a comment below the name that says why, found: {query.why!r}")
        if not query.statement:
            problems.append(f"{query.where}: expected a statement, found none")
        problems += _bound_problems(query)
    return problems


def _bound_problems(query: Query) -> list[str]:
    problems = []
    reads = re.match(r"(?:with|select)\b", query.statement, re.IGNORECASE)
    writes = re.search(r"\b(?:insert into|update|delete from)\b", query.statement, re.IGNORECASE)
    polls = re.search(r"\bpolls?\b", query.why, re.IGNORECASE)
    if ((reads and not writes) or polls) and not re.search(r"\blimit\b", query.statement, re.IGNORECASE):
        problems.append(f"{query.where}: expected a LIMIT, as whoever reads must be able to hold the answer")
    if polls and not re.search(r"\b(?:index|uses)\b", query.why, re.IGNORECASE):
        problems.append(f"{query.where}: it polls, expected the comment to name its index: `uses steps_by_wake`")
    return problems


def test_every_query_has_a_name_and_a_why_and_every_read_a_bound() -> None:
    files = [path for path in tracked() if path.startswith(FOLDER) and path.endswith(".sql")]
    files = [path for path in files if "migrations/" not in path and not path.removeprefix(FOLDER)[:1].isdigit()]
    report([problem for path in files for problem in sql_problems(path, text_of(path) or "")])


def test_a_good_file_passes() -> None:
    good = "-- Steps.\n\n-- name: load_steps\n-- An adopted execution needs its open steps.\nSELECT 1 LIMIT 1;\n"
    poll = "-- name: due\n-- Polls for sleepers that wake; index executions_wake.\nSELECT 1\nLIMIT :rows;\n"
    assert sql_problems("a.sql", good + poll) == []


def test_these_checks_can_fail() -> None:
    assert sql_problems("a.sql", "SELECT 1;\n-- name: b\n-- It is needed for the listing.\nSELECT 2 LIMIT 1;\n")
    assert sql_problems("a.sql", "-- name: b\nSELECT 2 LIMIT 1;\n")
    assert sql_problems("a.sql", "-- name: LoadB\n-- It is needed for the listing.\nSELECT 2 LIMIT 1;\n")
    assert sql_problems("a.sql", "-- name: b\n-- It is needed for the listing.\n")
    assert len(sql_problems("a.sql", "-- name: b\n-- It is needed for the listing.\nSELECT 2;\n")) == 1
    assert len(sql_problems("a.sql", "-- name: b\n-- Polls for what is due now.\nDELETE FROM x;\n")) == 2
    assert sql_problems("a.sql", "-- name: b\n-- Why it exists, said.\nSELECT 1 LIMIT 1;\n" * 2)

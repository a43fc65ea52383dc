"""One word a concept: identifiers use the glossary's words, and the glossary has them all."""

from __future__ import annotations

import ast
import fnmatch
import re
import typing

import pytest

from stagewright.model import execution
from tests.tidy.tree import Source, listed, product, report, text_of

GLOSSARY = "docs/glossary.md"
SENTENCE_CHARS_MIN = 40

# What must not name a class, a function or an argument (an expression over its snake_case), and what to say instead.
SYNONYMS = {
    r"(^|_)jobs?(_|$)": "execution, step or attempt",
    r"(^|_)tasks?(_|$)": "step or attempt (a task is asyncio's only)",
    r"(^|_)(workflow|dag)s?(_|$)": "pipeline",
    r"(^|_)runs(_|$)|(^|_)run_(id|ids|key|state|status)(_|$)|^(?!dry_)\w+_run$": "execution (`run` is a verb)",
    r"(^|_)(lease_holder|lessee)s?(_|$)": "worker, which holds a lease",
    r"(^|_)tenants?(_|$)": "client or project",
    r"(^|_)(manager|helper|util|utility|utilitie)s?(_|$)": "the noun for what it is or the verb for what it does",
}
CLASS_NAMES = {r"^run$": "Execution", r"^(data|info|process|base)$|_info$": "the noun for what it holds"}

WORDS = (
    "pipeline", "stage", "need", "execution", "step", "attempt", "lease", "token", "worker", "handler", "agent",
    "assignment", "packet", "channel", "pool", "demand", "reservation", "admission", "estimate", "quote",
    "observation", "ledger", "data reference", "tier", "artifact", "deliverable", "message", "decision", "effect",
    "event", "journal", "node", "client", "project", "request", "shard", "allocator", "allotment", "inbox", "outbox",
    "hint", "round", "iteration",
)  # fmt: skip
EXECUTION_STATES = ("pending", "running", "paused", "completed", "failed", "cancelled")
STEP_STATES = ("pending", "waiting", "ready", "running", "completed", "failed", "skipped", "cancelled")


class Name(typing.NamedTuple):
    """An identifier that somebody chose, and where."""

    line: int
    identifier: str
    kind: str


def names(tree: ast.Module) -> list[Name]:
    """Return the names of classes, functions and arguments; asyncio's tasks may be called tasks."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found.append(Name(node.lineno, node.name, "class"))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(Name(node.lineno, node.name, "function"))
        elif isinstance(node, ast.arg) and not _is_asyncio_task(node):
            found.append(Name(node.lineno, node.arg, "argument"))
    return found


def synonyms(source: Source, allowed: dict[str, str]) -> list[str]:
    """Name every identifier that says a forbidden word; `allowed` is by `path pattern::identifier`."""
    problems = []
    for name in names(source.tree):
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.identifier).lower()
        rules = SYNONYMS | (CLASS_NAMES if name.kind == "class" else {})
        said = [instead for pattern, instead in rules.items() if re.search(pattern, snake)]
        if said and not _is_allowed(f"{source.path}::{name.identifier}", allowed):
            problems.append(f"{source.path}:{name.line}: {name.kind} {name.identifier}: say {said[0]}")
    return problems


def entries(glossary: str) -> dict[str, str]:
    """Return what the glossary says by word; an entry is a line `**word** - sentence`, `**a**, **b** - sentence`."""
    found = {}
    for line in glossary.splitlines():
        head, dash, meaning = line.removeprefix("- ").partition(" - ")
        if dash and head.startswith("**"):
            found |= {word.lower(): meaning for word in re.findall(r"\*\*([^*]+)\*\*", head)}
    return found


def missing_words(glossary: str) -> list[str]:
    """Name the words without an entry or with one that says nothing."""
    told = entries(glossary)
    return [
        f"{GLOSSARY}: expected an entry `**{word}** - what it is, in a sentence`, found: {told.get(word, 'none')}"
        for word in WORDS
        if len(told.get(word, "")) < SENTENCE_CHARS_MIN
    ]


def _is_asyncio_task(argument: ast.arg) -> bool:
    return argument.annotation is not None and "Task" in ast.unparse(argument.annotation)


def _is_allowed(where: str, allowed: dict[str, str]) -> bool:
    return any(fnmatch.fnmatchcase(where, pattern) for pattern in allowed)


def test_identifiers_use_no_synonyms() -> None:
    # A worker speaks of its own subject, in which a run may be one of words.
    house = [source for source in product() if not source.path.startswith("src/stagewright/workers/")]
    allowed = listed("words_allowed.txt")
    report([problem for source in house for problem in synonyms(source, allowed)])


def test_the_glossary_has_every_word_and_every_state() -> None:
    glossary = text_of(GLOSSARY) or ""
    report(missing_words(glossary))
    states = {*EXECUTION_STATES, *STEP_STATES}
    report([f"{GLOSSARY}: the state `{state}` is not there" for state in states if f"`{state}`" not in glossary])


def test_the_states_of_the_glossary_are_those_of_the_model() -> None:
    assert {*execution.OPEN_STATUSES, *execution.FINAL_STATUSES} == set(EXECUTION_STATES)
    assert set(STEP_STATES) > execution.STEP_FINAL


@pytest.mark.parametrize(
    "text",
    [
        "class JobQueue: pass",
        "class PipelineRun: pass",
        "class Run: pass",
        "class StoreManager: pass",
        "class StepInfo: pass",
        "def start_task(): pass",
        "async def list_runs(): pass",
        "def f(run_id): pass",
        "def f(*, workflow=None): pass",
        "def f(lease_holder): pass",
        "f = lambda tenant: tenant",
    ],
)
def test_a_synonym_is_seen(text: str) -> None:
    assert synonyms(Source("a.py", text), {})


@pytest.mark.parametrize(
    "text",
    [
        "def run(): pass",
        "def run_attempt(): pass",
        "def dry_run(): pass",
        "def f(task: 'asyncio.Task[None]'): pass",
        "class Multitasking: pass",
        "def runtime(dagger): pass",
    ],
)
def test_a_verb_or_a_longer_word_is_no_synonym(text: str) -> None:
    assert synonyms(Source("a.py", text), {}) == []


def test_the_list_of_allowed_words_is_by_file_and_identifier() -> None:
    allowed = {"definitions/workflow.py::*": "a front door"}
    assert synonyms(Source("definitions/workflow.py", "def load_workflow(): pass"), allowed) == []
    assert synonyms(Source("engine/actor.py", "def load_workflow(): pass"), allowed)


def test_a_word_without_a_sentence_is_seen() -> None:
    told = "\n".join(f"- **{word}** - {'a sentence that is long enough to say something'}" for word in WORDS)
    assert missing_words(told) == []
    assert len(missing_words(told.replace("**journal**", "**diary**"))) == 1
    assert len(missing_words(told + "\n- **need** - an edge")) == 1

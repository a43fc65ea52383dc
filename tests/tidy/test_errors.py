"""Every refusal has one stable code of its own, and a person can look it up."""

from __future__ import annotations

import re

from stagewright.model import errors
from tests.tidy.tree import report, text_of, tracked

PAGE = "docs/reference/errors.md"


def tree_of(root: type[errors.StagewrightError]) -> list[type[errors.StagewrightError]]:
    """Return the class and all below it that its module defines."""
    below = [
        error for child in root.__subclasses__() if child.__module__ == root.__module__ for error in tree_of(child)
    ]
    return [root, *below]


def code_problems(tree: list[type[errors.StagewrightError]]) -> list[str]:
    """Name classes without a code of their own, codes that are no words and codes used twice."""
    problems = []
    owner: dict[str, str] = {}
    for error in tree:
        if "code" not in vars(error):
            problems.append(f"{error.__name__}: expected a code of its own, found its parent's: {error.code}")
            continue
        if not re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code):
            problems.append(f"{error.__name__}: expected a code in snake_case, found: {error.code}")
        if error.code in owner:
            problems.append(f"{error.__name__}: {owner[error.code]} has the same code: {error.code}")
        if not 400 <= error.status <= 599:
            problems.append(f"{error.__name__}: expected an HTTP status from 400 to 599, found: {error.status}")
        owner[error.code] = error.__name__
    return problems


def undocumented(tree: list[type[errors.StagewrightError]], page: str) -> list[str]:
    """Name the codes that the page does not show as `code`."""
    return [f"{PAGE}: the code `{error.code}` is not there" for error in tree if f"`{error.code}`" not in page]


def test_every_error_has_a_code_and_a_status_of_its_own() -> None:
    report(code_problems(tree_of(errors.StagewrightError)))


def test_every_error_is_in_the_tree_on_top_of_its_module() -> None:
    drawn = errors.__doc__ or ""
    tree = [error for error in tree_of(errors.StagewrightError) if error is not errors.StagewrightError]
    report(
        [
            f"model/errors.py: {error.__name__} is not in the tree on top"
            for error in tree
            if error.__name__ not in drawn
        ]
    )


def test_every_code_is_in_the_reference() -> None:
    if PAGE in tracked():  # the page comes with the HTTP reference; from then on it is complete
        report(undocumented(tree_of(errors.StagewrightError)[1:], text_of(PAGE) or ""))


def test_these_checks_can_fail() -> None:
    class Same(errors.Refusal):
        code = "not_found"

    class Silent(errors.Refusal):
        pass

    class Odd(errors.Refusal):
        code, status = "Odd-Code", 200

    assert len(code_problems([errors.NotFound, Same])) == 1
    assert len(code_problems([Silent])) == 1
    assert len(code_problems([Odd])) == 2
    assert len(undocumented([errors.NotFound, errors.Stalled], "`stalled` means wait; not_found is bare")) == 1

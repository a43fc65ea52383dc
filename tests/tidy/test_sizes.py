"""Files and functions stay small enough to be read in one go."""

from __future__ import annotations

from tests.tidy.tree import Source, functions, listed, report, sources, text_of, tracked

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
CODE = (".py", ".sql", ".ts", ".tsx", ".css", ".sh")


def long_file(path: str, text: str) -> list[str]:
    """Name the file if it is too long."""
    lines = len(text.splitlines())
    if lines <= FILE_LINES_MAX:
        return []
    return [f"{path}: {lines} lines, expected at most {FILE_LINES_MAX}: it is two things, split it"]


def long_functions(source: Source) -> dict[str, str]:
    """Return what is wrong by `path::function`."""
    found = {}
    for name, node in functions(source.tree):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            where = f"{source.path}::{name}"
            found[where] = (
                f"{where}: {lines} lines, expected at most {FUNCTION_LINES_MAX}: keep branches, move leaves out"
            )
    return found


def test_no_code_file_is_longer_than_the_bound() -> None:
    code = [path for path in tracked() if path.endswith(CODE)]
    report([problem for path in code for problem in long_file(path, text_of(path) or "")])


def test_no_function_is_longer_than_the_bound_but_for_listed_ones() -> None:
    found = {where: problem for source in sources() for where, problem in long_functions(source).items()}
    allowed = listed("long_functions.txt")
    report([problem for where, problem in found.items() if where not in allowed])
    report([f"long_functions.txt: {where} is short or gone; take it out" for where in allowed if where not in found])


def test_these_checks_can_fail() -> None:
    body = "\n".join("        print()" for _ in range(FUNCTION_LINES_MAX))
    long = Source("a.py", f"class C:\n    async def f(self):\n{body}\n")
    short = Source("a.py", long.text.replace("        print()\n", "", 1))
    assert list(long_functions(long)) == ["a.py::C.f"]
    assert long_functions(short) == {}
    assert long_file("b.sql", "x\n" * 501) and not long_file("b.sql", "x\n" * 500)

"""What an expression may cost is told before it is evaluated: cheap ones stay, bombs go elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from stagewright.definitions import ExpressionError, NeedsData, Template
from stagewright.model.data import DataRef
from stagewright.ports.evaluator import Answer

WORK_MAX = 100_000
REF = DataRef("kv", "k", 10, "sha256:0")


def scope(items: int) -> dict[str, Any]:
    """Make a scope with a list of numbers, a list of objects and a long text."""
    objects = [{"a": number, "b": {"c": "text"}} for number in range(items)]
    parameters = {"l": list(range(items)), "m": objects, "s": "a" * 10_000, "nested": [[1] * items] * items}
    return {"parameters": parameters, "stages": {"a": {"output": {"big": REF}, "status": "completed", "summary": {}}}}


def is_heavy(source: str, items: int) -> bool:
    return Template.compile("${{ " + source + " }}").ask(scope(items), work_max=WORK_MAX) is not None


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("size(parameters.l)", 1_000),
        ("parameters.l[0] + 1", 1_000),
        ("parameters.s + parameters.s", 0),
        ("parameters.l.map(x, x + 1)", 100),
        ("parameters.l.filter(x, x % 2 == 0)", 200),
        ("parameters.m.map(x, x.b.c)", 30),
        ("parameters.m.exists(x, x.b.c == 'y')", 200),
        ("parameters.m.filter(x, x.a > 3).map(y, {'c': y.b.c})", 30),
        ("size(parameters.l.map(x, parameters.l.filter(y, y == x)))", 20),
        ("has(parameters.absent) ? parameters.absent : 1", 10),
        ("parameters.nested.map(x, x.map(y, y))", 5),
    ],
)
def test_little_work_is_done_at_once(source: str, items: int) -> None:
    assert not is_heavy(source, items)


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ("size(parameters.l.map(x, parameters.l.filter(y, y == x)))", 300),
        ("size(parameters.l.map(x, parameters.l))", 100),
        ("parameters.l.exists(x, parameters.l.exists(y, y > 500))", 300),
        ("parameters.l.map(x, x)", 1_000),
        ("size(parameters.l)", 30_000),
        ("parameters.l.map(x, parameters.s + parameters.s)", 100),
        ("size([1]" + ".map(x, [x, x])" * 30 + ")", 0),
        ("size(['ab']" + ".map(x, x + x)" * 60 + ")", 0),
        ("size(['ab', 'cd'].map(x, ['" + "y" * 1_000 + "'])" + ".map(x, x + x)" * 20 + ")", 0),
        ("(parameters.l + [1]).map(x, parameters.l)", 100),
        ("(true ? parameters.l : []).map(x, parameters.l.map(y, y))", 100),
        ("parameters.nested.map(x, x.map(y, y))", 60),
        ("parameters.s.matches('(a+)+$')", 0),
    ],
)
def test_much_work_is_not_done_at_once(source: str, items: int) -> None:
    assert is_heavy(source, items)


def test_many_small_expressions_are_much_work_together() -> None:
    template = Template.compile([f"${{{{ parameters.l.map(x, x + {number}) }}}}" for number in range(100)])

    assert template.ask(scope(100), work_max=WORK_MAX) is not None


def test_paths_are_no_work_however_large_their_values() -> None:
    template = Template.compile({"v": "${{ parameters.l }}", "w": "${{ parameters.l[3] }}"})

    assert template.ask(scope(30_000), work_max=0) is None


def test_the_question_holds_only_what_the_expressions_name() -> None:
    template = Template.compile({"v": "${{ size(parameters.l) }}", "w": "${{ parameters.m }}"})

    question = template.ask(scope(2), work_max=0)

    assert question is not None
    assert (question.sources, question.context) == (("size(parameters.l)",), {"parameters": {"l": [0, 1]}})


def test_values_elsewhere_are_asked_for_first() -> None:
    template = Template.compile(["${{ size(parameters.l) }}", "${{ size(stages.a.output.big) }}"])

    with pytest.raises(NeedsData) as asked:
        template.ask(scope(30_000), work_max=10)

    assert asked.value.references == (REF,)


def test_answers_take_the_place_of_evaluating() -> None:
    template = Template.compile({"v": "${{ size(parameters.l) }}", "t": "n: ${{ size(parameters.l) }}"})

    assert template.render(scope(2), answers={"size(parameters.l)": Answer(7)}) == {"v": 7, "t": "n: 7"}


def test_a_refusal_names_the_expression_shortened_and_the_reason() -> None:
    source = "size(parameters.l)" + " + 1" * 400
    template = Template.compile("${{ " + source + " }}", "#/stages/0/inputs")

    with pytest.raises(ExpressionError) as refused:
        template.render(scope(2), answers={source: Answer(None, "It takes too long.")})

    assert len(refused.value.problem.detail) < 300
    assert "size(parameters.l) + 1" in refused.value.problem.detail
    assert "It takes too long." in refused.value.problem.detail


def test_a_vague_refusal_is_told_by_the_name_that_is_missing() -> None:
    template = Template.compile("${{ size(parameters.q) }}")

    with pytest.raises(ExpressionError, match="parameters has no q; it has l, m, s"):
        template.render(scope(2), answers={"size(parameters.q)": Answer(None, "no key", is_vague=True)})


def test_texts_made_of_paths_are_bounded_in_all() -> None:
    template = Template.compile([f"{number} ${{{{ parameters.s }}}}" for number in range(200)])

    with pytest.raises(ExpressionError, match="too large in all"):
        template.render(scope(0))

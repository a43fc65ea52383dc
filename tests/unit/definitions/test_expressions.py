"""Templates: what expressions name, what they become, and what they say when they cannot be evaluated."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewright.definitions import ExpressionError, NeedsData, Reference, Template
from stagewright.model.data import DataRef
from stagewright.model.errors import Invalid

BIG = DataRef("kv", "k1", 100_000, "sha256:" + "0" * 64)
HUGE = DataRef("object", "k2", 9_000_000, "sha256:" + "1" * 64)

SCOPE: dict[str, Any] = {
    "parameters": {"topic": "rivers", "n": 3, "x": 1.5, "tags": ["a", "b"], "who": {"name": "Ada"}, "none": None},
    "stages": {
        "scan-node": {"output": {"items": [{"id": 7}, {"id": 8}]}, "status": "completed", "summary": {"quality": 0.5}},
        "big": {"output": BIG, "status": "completed"},
        "huge": {"output": HUGE, "status": "completed"},
        "broken": {"status": "failed"},
    },
    "execution": {"id": "exec_1"},
}


def rendered(value: Any) -> Any:
    return Template.compile(value).render(SCOPE)


def trouble(value: str) -> str:
    with pytest.raises(ExpressionError) as caught:
        Template.compile({"v": value}, "#/stages/2/inputs").render(SCOPE)
    assert caught.value.problem.pointer == "#/stages/2/inputs/v"
    assert caught.value.code == "expression_error"
    return caught.value.problem.detail


def refusals(value: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        Template.compile(value)
    return {problem.pointer: problem.detail for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${{ parameters.topic }}", "rivers"),
        ("${{parameters.n}}", 3),
        ("${{ parameters.tags }}", ["a", "b"]),
        ("${{ parameters.tags[1] }}", "b"),
        ("${{ parameters['who'].name }}", "Ada"),
        ("${{ parameters.none }}", None),
        ("${{ stages['scan-node'].output.items[0].id }}", 7),
        ("${{ stages['scan-node'].status }}", "completed"),
        ("${{ stages['scan-node'].summary.quality }}", 0.5),
        ("${{ stages.broken.status }}", "failed"),
        ("about ${{ parameters.topic }}!", "about rivers!"),
        ("${{ parameters.n }}${{ parameters.x }}", "31.5"),
        ("n=${{ parameters.n }}, tags=${{ parameters.tags }}, ${{ parameters.none }}", 'n=3, tags=["a","b"], null'),
        ("${{ parameters.who }} ", '{"name":"Ada"} '),
        ("${{ parameters.n + 1 }}", 4),
        ("${{ size(parameters.tags) > 1 && parameters.n == 3 }}", True),
        ("${{ parameters.tags.map(item, item + '!') }}", ["a!", "b!"]),
        ("${{ stages['scan-node'].output.items.filter(i, i.id > 7)[0].id }}", 8),
        ("${{ stages['scan-node'].output.items.map(i, i.id) }}", [7, 8]),
        ("${{ has(parameters.absent) ? parameters.absent : 'else' }}", "else"),
        ("${{ 'topic' in parameters }}", True),
        ("${{ {'a': {'b': parameters.n}} }}", {"a": {"b": 3}}),
        ("${{ '}}' + \"${{\" }}", "}}${{"),
        ("${{ r'\\' + parameters.topic }}", "\\rivers"),
        ("${{ parameters.n // a comment\n + 1 }}", 4),
        ("${{ parameters[parameters.tags[0] == 'a' ? 'topic' : 'n'] }}", "rivers"),
        ("${{ timestamp('2026-03-01T10:00:00Z') + duration('90m') }}", "2026-03-01T11:30:00Z"),
        ("${{ duration('90m') }}", 5400.0),
        ("${{ string(parameters.n) + parameters.topic }}", "3rivers"),
        ("costs $5 and {x} $${ y }", "costs $5 and {x} $${ y }"),
    ],
)
def test_a_text_becomes_its_value(text: str, expected: Any) -> None:
    value = rendered(text)

    assert value == expected
    assert type(value) is type(expected)


def test_a_whole_json_value_is_rendered_and_the_template_stays_as_it_was() -> None:
    value = {"b": ["${{ parameters.n }}", 1, {"deep": "x${{ parameters.topic }}"}], "a": {"kept": [None, True]}}
    template = Template.compile(value)

    first, second = template.render(SCOPE), template.render({**SCOPE, "parameters": {"n": 4, "topic": "t"}})

    assert first == {"b": [3, 1, {"deep": "xrivers"}], "a": {"kept": [None, True]}}
    assert second == {"b": [4, 1, {"deep": "xt"}], "a": {"kept": [None, True]}}
    assert list(first) == ["b", "a"]
    assert template.value["b"][0] == "${{ parameters.n }}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", []),
        ("${{ parameters }}", [Reference("parameters", None, (), True)]),
        ("${{ parameters.a['b-c'][2].d }}", [Reference("parameters", None, ("a", "b-c", 2, "d"), True)]),
        ("${{ stages.f.output }}", [Reference("stages", "f", ("output",), True)]),
        ("${{ stages['s-n'].output.a }}", [Reference("stages", "s-n", ("output", "a"), True)]),
        ("-${{ stages.f.status }}", [Reference("stages", "f", ("status",))]),
        ("${{ execution.id }}", [Reference("execution", None, ("id",), True)]),
        ("${{ size(stages.f.output.a) + 1 }}", [Reference("stages", "f", ("output", "a"))]),
        ("${{ stages.f.output.a.size() }}", [Reference("stages", "f", ("output", "a"))]),
        (
            "${{ parameters.a[parameters.b] }}",
            [Reference("parameters", None, ("a",)), Reference("parameters", None, ("b",))],
        ),
        (
            "${{ parameters.a.map(item, item.b + index) }}",
            [Reference("parameters", None, ("a",)), Reference("index", None, ())],
        ),
        ("${{ item.url }} ${{ item.url }}", [Reference("item", None, ("url",))]),
        ("${{ 'parameters.a' + \"stages.x\" }}", []),
        ("${{ parameters.stages.x }}", [Reference("parameters", None, ("stages", "x"), True)]),
    ],
)
def test_references_are_found_by_the_scanner(text: str, expected: list[Reference]) -> None:
    template = Template.compile([text])

    assert template.references == tuple(expected)
    assert template.is_constant == ("${{" not in text)


def test_a_whole_reference_passes_a_data_reference_unread() -> None:
    assert rendered({"in": "${{ stages.big.output }}"}) == {"in": BIG}


def test_everything_that_must_be_loaded_is_named_at_once() -> None:
    value = {
        "path": "${{ stages.big.output.items }}",
        "text": "see ${{ stages.big.output }}",
        "cel": "${{ size(stages.huge.output) + size(stages.big.output.items) }}",
        "whole": "${{ stages.huge.output }}",
        "small": "${{ parameters.n }}",
    }
    template = Template.compile(value)

    with pytest.raises(NeedsData) as caught:
        template.render(SCOPE)

    assert caught.value.references == (BIG, HUGE)
    loaded = {"big": {"output": {"items": [1, 2]}}, "huge": {"output": [1, 2, 3]}}
    assert template.render({**SCOPE, "stages": loaded}) == {
        "path": [1, 2],
        "text": 'see {"items":[1,2]}',
        "cel": 5,
        "whole": [1, 2, 3],
        "small": 3,
    }


def test_cel_reads_no_data_that_it_does_not_name() -> None:
    assert rendered("${{ stages.big.status == 'completed' ? parameters.n : 0 }}") == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${{ parameters.topik }}", "parameters has no topik (did you mean topic?)"),
        ("${{ parameters.topik + 'x' }}", "parameters has no topik (did you mean topic?)"),
        ("${{ parameters.topic.x }}", "parameters.topic is text and has no x"),
        ("${{ parameters.tags[9] }}", "has 2 items, so there is no [9]"),
        ("${{ parameters.tags.first }}", "is a list and has no first"),
        ("${{ stages['scan-node'].output.items[2].id }}", "stages['scan-node'].output.items has 2 items"),
        ("${{ stages.broken.output.x }}", "stages.broken has no output because it is failed"),
        ("${{ size(stages.broken.output) }}", "stages.broken has no output because it is failed"),
        ("${{ stages.never.output }}", "stages has no never"),
        ("${{ item.url }}", "item has no value here"),
        ("${{ 1 / (parameters.n - 3) }}", "divides by zero"),
        ("${{ 1.0 / 0.0 }}", "infinite"),
        ("${{ parameters.n * 9223372036854775807 }}", "beyond 64 bits"),
        ("${{ parameters.n + parameters.x }}", "types do not go together"),
        ("${{ parameters.topic > 3 }}", "types do not go together"),
        ("${{ size(parameters.n) }}", "function got a value of a type that it does not take"),
        ("${{ stages['scan-node'].output.items.map(i, i.idd) }}", "There is no idd"),
        ("${{ b'abc' }}", "no JSON value but bytes"),
        ("${{ {1: 2} }}", "keys of the resulting object are not text"),
        ("a ${{ parameters.topik }} b", "${{ parameters.topik }}"),
    ],
)
def test_what_cannot_be_evaluated_says_why(text: str, words: str) -> None:
    assert words in trouble(text)


def test_all_mistakes_of_a_template_are_found_when_it_is_compiled() -> None:
    found = refusals({"a": "${{ 1 + }}", "b": ["${{ params.x }}", "ok"], "c/d": "${{ open", "e": "${{ nope(1) }}"})

    assert found.keys() == {"#/a", "#/b/0", "#/c~1d", "#/e"}
    assert "no CEL expression: 1 + (at character 4" in found["#/a"]
    assert "no name params" in found["#/b/0"] and "did you mean parameters?" in found["#/b/0"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("stages", "id of one stage"),
        ("stages[parameters.x].output", "id of one stage"),
        ("stages.a", "comes .output, .status or .summary"),
        (".parameters.a", "cannot begin with a dot"),
        ("[1].map(x, [2].map(y, [3].map(z, z)))", "More than 2 macros"),
        ("'a'.upper()", "no method upper"),
        ("parameters.a # b", "cannot contain '#'"),
        ("(" * 65 + "1" + ")" * 65, "deeper than 64"),
        ("'open", "in quotes is not closed"),
        ("{a: 1}", "no name a"),
        ("[1].map(x, x) + x", "no name x"),
    ],
)
def test_an_expression_outside_the_language_is_refused(source: str, words: str) -> None:
    assert words in refusals("${{ " + source + " }}")["#"]


def test_two_macros_may_stand_inside_each_other() -> None:
    assert rendered("${{ [1, 2].map(x, [3].map(y, x * y)) }}") == [[3], [6]]


def test_an_expression_of_2000_characters_is_taken_and_one_more_is_not() -> None:
    longest = "'" + "x" * 1998 + "'"

    assert rendered("${{" + longest + "}}") == "x" * 1998
    assert "2000 characters" in refusals("${{" + longest + " }}")["#"]


def test_plain_paths_do_not_import_cel() -> None:
    program = (
        "import sys; from stagewright.definitions import Template\n"
        "t = Template.compile({'a': '${{ parameters.x }}', 'b': 'x ${{ stages.a.output.b[0] }}'})\n"
        "print(t.render({'parameters': {'x': 1}, 'stages': {'a': {'output': {'b': [2]}}}}), 'cel' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "{'a': 1, 'b': 'x 2'} False"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_a_whole_path_keeps_any_value_and_cel_agrees(value: Any) -> None:
    scope = {"parameters": {"v": value}}

    assert Template.compile("${{ parameters.v }}").render(scope) == value
    assert Template.compile("${{ dyn(parameters.v) }}").render(scope) == value


words = st.sampled_from(
    "parameters . topic n tags stages ['scan-node'] .output .items [0] ( ) [ ] { } + - / == ? : , 'a' 1 1.5 size( has( "
    '.map(x, x true null in && ! .size() "q" // ${{ }} \\ é'.split()
)


@given(st.lists(words, max_size=10))
def test_any_words_compile_and_render_or_are_refused(parts: list[str]) -> None:
    text = "${{ " + " ".join(parts) + " }}"
    try:
        Template.compile(text).render(SCOPE)
    except (NeedsData, Invalid) as error:
        assert str(error)


@given(st.text(max_size=40))
def test_any_text_is_a_template_or_is_refused(text: str) -> None:
    if "${{" in text:
        return
    assert Template.compile(text).render({}) == text


def test_an_object_takes_in_the_members_of_another_and_its_own_win() -> None:
    assert rendered({"<<": "${{ parameters.who }}", "age": 36}) == {"name": "Ada", "age": 36}
    assert rendered({"name": "Bob", "<<": "${{ parameters.who }}"}) == {"name": "Bob"}
    assert rendered({"<<": "as it is"}) == {"<<": "as it is"}
    assert rendered({"<<": "not ${{ parameters.topic }} alone"}) == {"<<": "not rivers alone"}


def test_what_is_taken_in_is_loaded_first_and_has_to_be_an_object() -> None:
    with pytest.raises(NeedsData) as caught:
        rendered({"<<": "${{ stages.big.output }}", "other": "${{ stages.huge.output }}"})
    assert caught.value.references == (BIG,)
    with pytest.raises(ExpressionError, match="Expected an object to take in with <<, found a list"):
        rendered({"<<": "${{ parameters.tags }}"})

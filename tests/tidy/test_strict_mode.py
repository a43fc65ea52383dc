"""A skipped test is a failed one where `TESTS_STRICT=1`, and a loud one elsewhere."""

from __future__ import annotations

import pytest

from tests.tidy.tree import ROOT

FINISH_TIMEOUT_S = 60

TESTS = {
    "test_one": "import pytest\n@pytest.mark.skip(reason='no such service')\ndef test_a(): pass\ndef test_b(): pass\n",
    "test_inside": "import pytest\ndef test_c(): pytest.skip('gave up inside')\n",
    "test_known": "import pytest\n@pytest.mark.xfail(reason='known')\ndef test_e(): assert False\n",
}
MODULE = {"test_module": "import pytest\npytest.importorskip('no_module_of_that_name')\ndef test_d(): pass\n"}


def _finish(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *, strict: str, tests: dict[str, str]
) -> pytest.RunResult:
    monkeypatch.setenv("TESTS_STRICT", strict)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(**tests)
    return pytester.runpytest_subprocess("-p", "no:xdist", timeout=FINISH_TIMEOUT_S)


def test_strict_mode_fails_every_skipped_test_but_no_expected_failure(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = _finish(pytester, monkeypatch, strict="1", tests=TESTS)
    # pytest counts what fails before the test's own call as an error
    result.assert_outcomes(passed=1, failed=1, errors=1, xfailed=1)
    result.stdout.fnmatch_lines_random(
        ["*strict mode does not allow: no such service*", "*strict mode does not allow: gave up inside*"]
    )


def test_strict_mode_fails_a_module_that_skips_itself(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = _finish(pytester, monkeypatch, strict="1", tests=MODULE)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_module.py was skipped, which strict mode does not allow*"])


def test_elsewhere_skips_are_listed_at_the_end(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    result = _finish(pytester, monkeypatch, strict="0", tests=TESTS | MODULE)
    result.assert_outcomes(passed=1, skipped=3, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "*3 SKIPPED: this is no complete test*",
            "*test_c: gave up inside",
            "*no_module_of_that_name*",
            "*test_a: no such service",
        ]
    )

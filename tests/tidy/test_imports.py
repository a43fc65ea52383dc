"""The import contracts of pyproject.toml hold (`make check` runs them), and they would notice.

import-linter knows our own packages; that the model needs no other's is checked here.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT, Source, product, report

LINT_TIMEOUT_S = 60

# One breach a contract: the module that gets the line, the line, the name of the contract that must notice.
BREACHES = {
    "upwards": ("model/bad.py", "import stagewright.engine", "A layer imports only lower ones"),
    "sideways": ("objects/bad.py", "import stagewright.store", "A layer imports only lower ones"),
    "package without a place": ("novelty/__init__.py", "", "A layer imports only lower ones"),
    "adapter": ("store/bad.py", "import stagewright.definitions", "Adapters import only"),
    "channel": ("channels/bad.py", "import stagewright.accounts", "Channels import only"),
    "sdk": ("sdk/bad.py", "import stagewright.ports", "The SDK imports only"),
    "worker": ("workers/content/bad.py", "import stagewright.ports", "Workers that ship"),
    "circle": ("model/ids.py", "import stagewright.model.bad\n", "No circles anywhere"),
}


def foreign_imports(source: Source) -> list[str]:
    """Name every import that is neither of the standard library nor of the model itself."""
    problems = []
    for node in ast.walk(source.tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""] if node.level == 0 else []
        for module in modules:
            own = module == "stagewright.model" or module.startswith("stagewright.model.")
            if not own and module.split(".")[0] not in sys.stdlib_module_names:
                problems.append(
                    f"{source.path}:{node.lineno}: the model imports {module}: expected the standard library only"
                )
    return problems


def test_the_model_imports_no_third_party() -> None:
    model = [source for source in product() if source.path.startswith("src/stagewright/model/")]
    report([problem for source in model for problem in foreign_imports(source)])


def test_a_third_party_in_the_model_is_seen() -> None:
    text = "import orjson\nfrom pydantic import BaseModel\nimport json\nfrom stagewright.model.ids import is_id\n"
    assert len(foreign_imports(Source("a.py", text))) == 2


@pytest.mark.parametrize("breach", BREACHES)
def test_the_import_contracts_notice_a_breach(breach: str, tmp_path: Path) -> None:
    # given a copy of the tree with one bad line in it
    path, line, contract = BREACHES[breach]
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "_ui"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "src" / "stagewright"
    if breach == "circle":
        (package / "model" / "bad.py").write_text("import stagewright.model.ids\n")
    (package / path).parent.mkdir(exist_ok=True)
    with (package / path).open("a") as file:
        file.write("\n" + line + "\n")
    # when the contracts are checked
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LINT_TIMEOUT_S
    )
    # then that one is broken
    lines = [text.strip() for text in result.stdout.splitlines()]
    broken = [text for text in lines if text.startswith(contract) and text != contract and "---" not in text][:1]
    assert result.returncode == 1, result.stdout + result.stderr
    assert broken and all(text.endswith("BROKEN") for text in broken), result.stdout

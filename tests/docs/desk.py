"""Somebody who types what a page says, in a folder of their own with the feeds and examples that a clone has."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from stagewright.definitions import load_text
from stagewright.workers.content import demo_sources
from tests.docs.pages import Block, same_output
from tests.tidy.tree import ROOT

BLOCK_S = 60.0
READY_S = 30.0
STOP_S = 10.0
PORT_MIN, PORTS, PORTS_EACH = 18_701, 10_000, 7
ADDRESS = re.compile(r"(127\.0\.0\.1|localhost):8700")
SHELL = "set -eu; if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi\n"


class Desk:
    """Works through the blocks of one page. Use it as a context: it ends the servers that the page started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._said = ""
        self._servers: list[subprocess.Popen[bytes]] = []
        shutil.copytree(demo_sources().parent, folder / "feeds")
        if (ROOT / "examples").is_dir():
            shutil.copytree(ROOT / "examples", folder / "examples")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STAGEWRIGHT_")}
        kept.pop("PYTHONPATH", None)
        bin_folder = Path(sys.executable).parent
        self._environment = kept | {
            "PATH": f"{bin_folder}{os.pathsep}{kept.get('PATH', '')}",
            "STAGEWRIGHT_PORT": str(self.port),
            "HOME": str(folder),
            "NO_COLOR": "1",
            "COLUMNS": "120",
        }

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: Any) -> None:
        for server in self._servers:
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
        for server in self._servers:
            try:
                server.wait(STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            if server.stdout is not None:
                server.stdout.close()

    def do(self, block: Block) -> None:
        """Do what the block says; AssertionError with its place if it does not hold."""
        text = ADDRESS.sub(rf"\1:{self.port}", block.text)
        if block.kind == "not run":
            return
        if block.kind == "output":
            assert same_output(text, self._said), f"{block.place}: expected\n{text}\nfound\n{self._said}"
        elif block.kind == "file":
            self._write(block, text)
        elif block.kind == "background":
            self._serve(block, text)
        elif block.language == "sh":
            self._perform(block, ["sh", "-c", SHELL + text], int(block.value) if block.kind == "exit" else 0)
        elif block.language == "python":
            self._perform(block, [sys.executable, "-c", text], 0)
        else:
            _parse(block, text)

    def _write(self, block: Block, text: str) -> None:
        path = (self.folder / block.value).resolve()
        assert path.is_relative_to(self.folder.resolve()), f"{block.place}: a file outside of the folder"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if block.language in ("yaml", "json", "toml"):
            _parse(block, text)

    def _perform(self, block: Block, command: list[str], expected: int) -> None:
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=BLOCK_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        self._said = done.stdout
        told = f"stdout\n{done.stdout[-4000:]}\n--- stderr\n{done.stderr[-4000:]}"
        assert done.returncode == expected, (
            f"{block.place}: expected exit {expected}, found {done.returncode}\n{block.text}\n--- {told}"
        )

    def _serve(self, block: Block, text: str) -> None:
        server = subprocess.Popen(
            ["sh", "-c", SHELL + "exec " + text.strip()], cwd=self.folder, env=self._environment,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self._servers.append(server)
        assert server.stdout is not None
        deadline = time.monotonic() + READY_S
        said = b""
        while b"ready at" not in said or not said.endswith(b"\n"):
            left = deadline - time.monotonic()
            readable, _, _ = select.select([server.stdout], [], [], max(0.0, left))
            chunk = os.read(server.stdout.fileno(), 4096) if readable else b""
            assert chunk, f"{block.place}: the server did not become ready: {said.decode()!r}"
            said += chunk
        self._said = said.decode()


def _parse(block: Block, text: str) -> None:
    """Check a block that shows content: a document of a pipeline wholly, anything else as the form it claims."""
    if block.language == "json":
        orjson.loads(text)
    elif block.language == "toml":
        import tomllib

        tomllib.loads(text)
    elif block.language == "yaml":
        if re.search(r"^stages:", text, re.MULTILINE) and re.search(r"^name:", text, re.MULTILINE):
            load_text(text)
        else:
            from ruamel.yaml import YAML

            YAML(typ="safe", pure=True).load(text)


def _free_port() -> int:
    """Return a free port below those that systems hand out by themselves, so that nobody is given it meanwhile."""
    first = os.getpid() * PORTS_EACH
    for number in range(PORTS):
        port = PORT_MIN + (first + number) % PORTS
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"expected a free port from {PORT_MIN} to {PORT_MIN + PORTS - 1}, found none")

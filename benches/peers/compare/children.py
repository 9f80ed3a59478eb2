"""Child processes: one a build, one a visit of an index. Only one of them ever runs."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compare import places
from compare.data import Data
from compare.indexes import Index
from compare.truth import K

PEERS = Path(__file__).resolve().parent.parent


class ChildError(Exception):
    """A child process that ended before its time."""


def build(index: Index, data: Data) -> dict[str, Any]:
    """Builds the index, unless an earlier run did, and says what that took."""
    folder = _folder(index, data)
    facts = folder.with_name(folder.name + ".json")
    if not facts.exists():
        # Also the index of an earlier version.
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.parent.mkdir(parents=True)
        if not index.native:
            subprocess.run(_command(index, "choose", folder, data), check=True, cwd=PEERS)
        command = _command(index, "build", folder, data)
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=PEERS)
        built = json.loads(answer.stdout.splitlines()[-1])
        built["bytes"] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        facts.write_text(json.dumps(built))
    return json.loads(facts.read_text())


class Visit:
    """A process with one index loaded, which waits until it is given a setting."""

    def __init__(self, index: Index, data: Data, found: Path) -> None:
        self.found = found
        self.process = subprocess.Popen(
            _command(index, "search", _folder(index, data), data, str(data.mated()), str(found)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PEERS,
        )

    def measure(self, setting: str) -> tuple[NDArray[np.int64], dict[str, float]]:
        """The rows found for each probe, and the seconds that took."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(setting + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise ChildError(f"no answer at {setting}: exit status {self.process.wait()}")
        return np.fromfile(self.found, "<i8").reshape(-1, K), json.loads(answer)


@contextmanager
def visit(index: Index, data: Data) -> Iterator[Visit]:
    visit = Visit(index, data, places.HOME / "found.i64")
    try:
        yield visit
    finally:
        assert visit.process.stdin
        visit.process.stdin.close()
        visit.process.wait()


def _folder(index: Index, data: Data) -> Path:
    return places.HOME / "indexes" / data.name / index.name.replace(" ", "-") / index.version


def _command(index: Index, task: str, folder: Path, data: Data, *rest: str) -> list[str]:
    if not index.native:
        worker = [sys.executable, "-B", "-m", "compare.worker"]
        input = data.probes_file if task == "search" else data.faces_file
        parameters = json.dumps(index.parameters)
        return [*worker, index.engine, parameters, task, str(folder), str(input), *rest]
    if task == "search":
        rest = (str(data.probes_file), *rest)
    elif index.engine == "ours":
        ours = (str(index.parameters["builder"]), str(index.parameters["code_bytes"]))
        rest = (str(data.faces_file), str(data.manifest), *ours)
    else:
        rest = (str(data.faces_file), str(index.parameters["m"]))
    return [_peer_binary(), index.engine, task, str(folder), *rest]


@cache
def _peer_binary() -> str:
    command = ["cargo", "bench", "--no-run", "--bench", "peer", "--message-format=json"]
    messages = subprocess.run(
        command, cwd=places.PROJECT, check=True, stdout=subprocess.PIPE, text=True
    )
    for message in map(json.loads, messages.stdout.splitlines()):
        if message.get("target", {}).get("name") == "peer" and message.get("executable"):
            return str(message["executable"])
    raise RuntimeError("cargo made no peer")

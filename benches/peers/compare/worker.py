"""The child process of a rival that is called from Python: builds its index, or answers probes.

    worker.py ENGINE PARAMETERS choose FOLDER FACES
    worker.py ENGINE PARAMETERS build FOLDER FACES
    worker.py ENGINE PARAMETERS search FOLDER PROBES MATED FOUND

Speaks as benches/peer.rs does: a build prints one JSON object; a search reads a setting a line,
writes the rows found to FOUND and prints the seconds that were spent. Beside them stands what a
call costs from Python: the same calls on a tiny index. Choosing is apart from building, so that
the build's time and memory are its own.
"""

import gc
import importlib
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compare.engines.base import Engine, K, Probes, Rows
from compare.machine import CORES

BATCH = 64
WARM_UP = 8
"""One probe in so many goes ahead of each measurement; all of them ahead of the first."""
TINY_PASSES = 5
TINY_CALLS = 2000


def main() -> None:
    engine, parameters, task, *rest = sys.argv[1:]
    rival = importlib.import_module(f"compare.engines.{engine}").Rival
    own: Engine = rival(**json.loads(parameters))
    tiny: Engine = rival(**{**json.loads(parameters), **rival.TINY})
    match task, rest:
        case "choose", [_, faces]:
            choose(own, Path(faces))
        case "build", [folder, faces]:
            build(own, Path(folder), Path(faces))
        case "search", [folder, probes, mated, found]:
            search(own, tiny, Path(folder), np.load(probes), int(mated), Path(found))


def choose(engine: Engine, file: Path) -> None:
    """Finds out what is best, unless another index with the same choice did."""
    kept = _kept(engine, file)
    if engine.choice and not kept.exists():
        kept.write_text(json.dumps(engine.tried(np.load(file, mmap_mode="r"), CORES)))


def build(engine: Engine, folder: Path, file: Path) -> None:
    faces = np.load(file, mmap_mode="r")
    if engine.choice:
        engine.choose(json.loads(_kept(engine, file).read_text()))
    begun = time.perf_counter()
    engine.build(faces, CORES)
    seconds = time.perf_counter() - begun
    peak = _peak_bytes()
    folder.mkdir()
    engine.save(folder)
    answer = {"build_seconds": seconds, "peak_bytes": peak, "notes": engine.notes()}
    print(json.dumps(answer), flush=True)


def _kept(engine: Engine, faces: Path) -> Path:
    return faces.with_name(f"{engine.choice}.json")


def search(
    engine: Engine,
    tiny: Engine,
    folder: Path,
    vectors: NDArray[np.float32],
    mated: int,
    file: Path,
) -> None:
    call_seconds = _call_seconds(tiny)
    engine.load(folder)
    probes = engine.probes(vectors)
    singles = [probes[at : at + 1] for at in range(len(probes))]
    batches = [probes[at : at + BATCH] for at in range(0, len(probes), BATCH)]
    gc.disable()
    for at, line in enumerate(sys.stdin):
        engine.use(_setting(line))
        engine.use_threads(1)
        _timed(engine, singles[:: 1 if at == 0 else WARM_UP])
        mates, mated_seconds = _timed(engine, singles[:mated])
        others, non_mated_seconds = _timed(engine, singles[mated:])
        engine.use_threads(CORES)
        _timed(engine, batches[::WARM_UP])
        batch_seconds = _timed(engine, batches)[1]
        rows = np.concatenate([np.reshape(found, (1, K)) for found in mates + others])
        rows.astype("<i8").tofile(file)
        answer = {
            "mated_seconds": mated_seconds,
            "non_mated_seconds": non_mated_seconds,
            "batch_seconds": batch_seconds,
            "call_seconds": call_seconds,
        }
        print(json.dumps(answer), flush=True)


def _call_seconds(engine: Engine) -> float:
    faces = engine.tiny()
    engine.build(faces, 1)
    engine.use_threads(1)
    probes = [engine.probes(faces[at % len(faces)][None]) for at in range(TINY_CALLS)]
    passes = [_timed(engine, probes)[1] / TINY_CALLS for _ in range(TINY_PASSES)]
    return statistics.median(passes)


def _timed(engine: Engine, probes: list[Probes]) -> tuple[list[Rows], float]:
    search = engine.search
    begun = time.perf_counter()
    found = [search(some) for some in probes]
    return found, time.perf_counter() - begun


def _setting(line: str) -> dict[str, int]:
    return {name: int(value) for name, value in (part.split("=") for part in line.split())}


def _peak_bytes() -> int:
    """The most memory the process has held, pages of its mapped input among it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()

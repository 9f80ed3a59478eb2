"""The rounds: every index is visited once a round, one process at a time, and every setting of it
measured; what is measured is appended to a file at once, and never measured again."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from compare import children, measures, places
from compare.data import Data
from compare.indexes import Index
from compare.truth import Truth

ENOUGH = 0.995
"""Recall and hit rate from which on a sweep has nothing left to show."""
LEAST_GAIN = 0.0005
"""In either of them: a setting that gains less on the one before it ends its sweep as well."""


@dataclass(frozen=True)
class Record:
    """One setting of one index in one round. Seconds are those of all the probes together."""

    index: str
    version: str
    commit: str
    setting: str
    round: int
    recall: float
    hit_rate: float
    mated_seconds: float
    non_mated_seconds: float
    batch_seconds: float
    call_seconds: float
    """What one call costs from Python; to be taken off each probe of the first two."""


class Records:
    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = file.read_text().splitlines() if file.exists() else []
        records = [Record(**json.loads(line)) for line in lines]
        self.kept = {_key(record): record for record in records}

    def find(self, index: Index, setting: str, round: int) -> Record | None:
        return self.kept.get((index.name, index.version, setting, round))

    def add(self, record: Record) -> None:
        self.kept[_key(record)] = record
        with self.file.open("a") as lines:
            lines.write(json.dumps(asdict(record)) + "\n")

    def of(self, index: Index) -> Iterator[Record]:
        mine = (index.name, index.version)
        return (r for r in self.kept.values() if (r.index, r.version) == mine)


def visit(index: Index, round: int, data: Data, truth: Truth, records: Records) -> None:
    """Measures what is missing of an index's round."""
    faces, probes = data.faces(), data.probes()
    with ExitStack() as running:
        child = None
        for sweep in index.sweeps:
            before = None
            for setting in sweep:
                record = records.find(index, setting, round)
                if record is None:
                    child = child or running.enter_context(children.visit(index, data))
                    found, seconds = child.measure(setting)
                    record = Record(
                        index=index.name,
                        version=index.version,
                        commit=places.commit(),
                        setting=setting,
                        round=round,
                        recall=measures.recall(found, truth, faces, probes),
                        hit_rate=measures.hit_rate(found, truth),
                        **seconds,
                    )
                    records.add(record)
                    _say(record, len(probes))
                if _is_last(record, before):
                    break
                before = record


def _is_last(record: Record, before: Record | None) -> bool:
    if min(record.recall, record.hit_rate) >= ENOUGH:
        return True
    if before is None:
        return False
    gains = (record.recall - before.recall, record.hit_rate - before.hit_rate)
    return max(gains) < LEAST_GAIN


def _key(record: Record) -> tuple[str, str, str, int]:
    return record.index, record.version, record.setting, record.round


def _say(record: Record, probes: int) -> None:
    quality = f"recall {record.recall:.3f}  hit rate {record.hit_rate:.3f}"
    seconds = record.mated_seconds + record.non_mated_seconds - probes * record.call_seconds
    print(
        f"  round {record.round}  {record.index:<17} {record.setting:<22}"
        f" {quality}  {probes / seconds:>8.0f} QPS",
        file=sys.stderr,
    )

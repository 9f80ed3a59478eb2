"""What came of it: a Markdown report, the same as JSON, and two plots."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compare import machine, plots
from compare.data import Data
from compare.indexes import Index
from compare.points import Measure, Point, speed_at

RECALLS = (0.90, 0.95, 0.99)
HIT_RATES = (0.90, 0.95, 0.98)
MEASURES: dict[str, Measure] = {
    "recall@10": lambda point: point.recall,
    "hit rate": lambda point: point.hit_rate,
}


@dataclass(frozen=True)
class Result:
    index: Index
    built: dict[str, Any]
    points: list[Point]


def write(folder: Path, data: Data, results: list[Result], failed: dict[str, str]) -> str:
    """Writes the report and returns it."""
    for name, measure in MEASURES.items():
        file = folder / f"qps-over-{name.replace(' ', '-').replace('@', '-at-')}.svg"
        plots.draw(file, data.name, name, measure, {r.index.name: r.points for r in results})
    text = "\n".join(
        [
            f"# {data.name}",
            "",
            *_circumstances(data, results),
            "",
            "## Speed at a quality",
            "",
            "Probes a second, one at a time, one thread; between the settings on either side.",
            "",
            *_speeds(results, len(data.faces())),
            "",
            *(f"- {name} failed: {why}" for name, why in failed.items()),
            "",
            f"## The fastest setting with a hit rate of {HIT_RATES[-1]}",
            "",
            *_fastest(results),
            "",
            "## Every setting",
            "",
            *_settings(results),
            "",
        ]
    )
    (folder / "report.md").write_text(text)
    (folder / "results.json").write_text(json.dumps(_json(data, results, failed), indent=1))
    return text


def _circumstances(data: Data, results: list[Result]) -> list[str]:
    described = {**machine.describe(), "data": f"`{data.command}`"}
    versions = {f"{result.index.package} {result.index.version}": None for result in results}
    rounds = max((point.rounds for r in results for point in r.points), default=0)
    probes, mated = len(data.probes()), data.mated()
    described["probes"] = (
        f"{mated} mated, {probes - mated} non-mated; medians of up to {rounds} rounds"
    )
    described["engines"] = ", ".join(versions)
    lines = [f"- {name}: {value}" for name, value in described.items()]
    for result in results:
        for name, value in result.built["notes"].items():
            lines.append(f"- {result.index.name}, {name}: {value}")
    return lines


def _speeds(results: list[Result], faces: int) -> list[str]:
    levels = [(MEASURES["recall@10"], level) for level in RECALLS]
    levels += [(MEASURES["hit rate"], level) for level in HIT_RATES]
    heads = ["index", "build", "peak memory", "bytes a face"]
    heads += [f"recall@10 {level:.2f}" for level in RECALLS]
    heads += [f"hit rate {level:.2f}" for level in HIT_RATES]
    rows = []
    for result in results:
        built = result.built
        row = [
            result.index.name,
            f"{built['build_seconds']:.1f} s",
            f"{built['peak_bytes'] / 2**20:,.0f} MiB",
            f"{built['bytes'] / faces:,.0f}",
        ]
        row += [_number(speed_at(result.points, *level)) for level in levels]
        rows.append(row)
    return _table(heads, rows)


def _fastest(results: list[Result]) -> list[str]:
    heads = ["index", "setting", "recall@10", "hit rate", "QPS", "mated", "non-mated"]
    heads += [f"batches of 64, {machine.CORES} threads"]
    rows = []
    for result in results:
        enough = [point for point in result.points if point.hit_rate >= HIT_RATES[-1]]
        if enough:
            rows.append([result.index.name, *_cells(max(enough, key=lambda point: point.qps))])
        else:
            rows.append([result.index.name, "not reached", *["-"] * 6])
    return _table(heads, rows)


def _settings(results: list[Result]) -> list[str]:
    heads = ["index", "setting", "recall@10", "hit rate", "QPS", "mated", "non-mated", "batches"]
    heads.append("call taken off, us")
    rows = [
        [result.index.name, *_cells(point), f"{point.call_microseconds:.1f}"]
        for result in results
        for point in result.points
    ]
    return _table(heads, rows)


def _cells(point: Point) -> list[str]:
    speeds = (point.qps, point.mated_qps, point.non_mated_qps, point.batch_qps)
    quality = [f"{point.recall:.4f}", f"{point.hit_rate:.4f}"]
    return [f"`{point.setting}`", *quality, *map(_number, speeds)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]


def _json(data: Data, results: list[Result], failed: dict[str, str]) -> dict[str, Any]:
    return {
        "machine": machine.describe(),
        "data": {"name": data.name, "command": data.command, "faces": len(data.faces())},
        "probes": {"mated": data.mated(), "all": len(data.probes())},
        "failed": failed,
        "indexes": [
            {
                "name": result.index.name,
                "engine": result.index.engine,
                "version": result.index.version,
                "parameters": result.index.parameters,
                **result.built,
                "points": [asdict(point) for point in result.points],
            }
            for result in results
        ],
    }

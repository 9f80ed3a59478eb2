"""The command line. Standard library alone."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from compare import places

PROFILES = ("arcface-512", "facenet-512", "dlib-128")
KINDS = ("clustered", "isolated")


@dataclass(frozen=True)
class Options:
    faces: int
    profile: str
    kinds: tuple[str, ...]
    probes: int
    seed: int
    rounds: int
    only: tuple[str, ...]
    venv: Path
    report: bool


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="run.py", description="Compares lookalike with other engines."
    )
    parser.add_argument("--quick", action="store_true", help="5,000 faces, 200 probes, 1 round")
    parser.add_argument(
        "--faces",
        type=_number,
        default=100_000,
        metavar="N",
        help="size of the gallery, such as 100k, 1m, 10m [100k]",
    )
    parser.add_argument(
        "--profile", choices=PROFILES, default=PROFILES[0], help="face model imitated [%(default)s]"
    )
    parser.add_argument(
        "--kinds", type=_names, default=KINDS, metavar="KIND,...", help="clustered, isolated [both]"
    )
    parser.add_argument(
        "--probes", type=_number, default=2000, metavar="N", help="half of them mated [2000]"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the galleries [1]")
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="passes over all engines [5]"
    )
    parser.add_argument(
        "--only",
        type=_names,
        default=("*",),
        metavar="INDEX,...",
        help="patterns such as hnswlib*,lookalike [all]",
    )
    parser.add_argument(
        "--venv",
        type=Path,
        default=places.HOME / "venv",
        metavar="DIR",
        help="the Python environment, made if missing [%(default)s]",
    )
    parser.add_argument(
        "--report", action="store_true", help="measure nothing, write the report of what is there"
    )
    given = parser.parse_args(arguments)
    unknown = set(given.kinds) - set(KINDS)
    if unknown:
        parser.error(f"no kind {', '.join(sorted(unknown))}: there are {', '.join(KINDS)}")
    if given.quick:
        given.faces, given.probes, given.rounds = 5000, 200, 1
    return Options(
        faces=given.faces,
        profile=given.profile,
        kinds=given.kinds,
        probes=given.probes,
        seed=given.seed,
        rounds=given.rounds,
        only=given.only,
        venv=given.venv,
        report=given.report,
    )


def _number(text: str) -> int:
    units = {"k": 1_000, "m": 1_000_000}
    unit = units.get(text[-1:].lower(), 1)
    return int(text if unit == 1 else text[:-1]) * unit


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))

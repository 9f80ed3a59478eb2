"""What is compared: the indexes, how each is built, and the settings it is searched with.

A sweep is a list of settings, fastest first; it ends early once nothing is left to gain. An index
has several where a setting has two parts.
"""

from dataclasses import dataclass, field
from math import log2, sqrt

from compare import machine, places

WIDTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192)
"""Of a graph walk."""
REFINES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Candidates of a scan over codes that are scored with their vectors, in tens."""

Sweeps = list[list[str]]


@dataclass(frozen=True)
class Index:
    name: str
    engine: str
    """A module of `compare.engines`, or the first argument of benches/peer.rs."""
    package: str
    version: str
    sweeps: Sweeps
    parameters: dict[str, int | str] = field(default_factory=dict)
    native: bool = False
    """Whether it is a Rust library, run by benches/peer.rs."""


def all_indexes(faces: int) -> list[Index]:
    """Those of a gallery of so many faces."""
    own = f"{machine.crate_version('lookalike')}-{places.sources()}"
    theirs = machine.crate_version("hnsw_rs")
    lists = lists_for(faces)
    scans = [*shares(), *promised()]
    graph = [*walks("beam"), *scans]
    return [
        _own("lookalike", own, graph, builder="own", code_bytes=64),
        _own("lookalike 128 bytes", own, graph, builder="own", code_bytes=128),
        _own("lookalike no graph", own, scans, builder="none", code_bytes=64),
        Index("hnsw_rs M16", "hnsw-rs", "hnsw_rs", theirs, walks("ef"), {"m": 16}, native=True),
        Index("hnsw_rs M32", "hnsw-rs", "hnsw_rs", theirs, walks("ef"), {"m": 32}, native=True),
        _rival("hnswlib M16", "hnswlib", "hnswlib", walks("ef"), m=16),
        _rival("hnswlib M32", "hnswlib", "hnswlib", walks("ef"), m=32),
        _rival("faiss HNSW16", "faiss_graph", "faiss-cpu", walks("ef"), m=16),
        _rival("faiss HNSW32", "faiss_graph", "faiss-cpu", walks("ef"), m=32),
        _rival("faiss HNSW16 SQ8", "faiss_graph", "faiss-cpu", refined_walks(), m=16, codes="SQ8"),
        *_faiss_codes("PQ", "PQ{parts}x4fs", lists),
        *_faiss_codes("RaBitQ fs", "RaBitQfs", lists),
        _faiss_codes("RaBitQ", "RaBitQ", lists)[1],
        _rival("usearch f32", "usearch", "usearch", walks("ef"), type="f32"),
        _rival("usearch f16", "usearch", "usearch", walks("ef"), type="f16"),
        _rival("usearch i8", "usearch", "usearch", walks("ef"), type="i8"),
        _rival("SymQG 32", "symqg", "rabitqlib", walks("ef"), degree=32),
        _rival("SymQG 64", "symqg", "rabitqlib", walks("ef"), degree=64),
    ]


def lists_for(faces: int) -> int:
    """Inverted lists: the power of two nearest twice the square root of the faces."""
    return 2 ** round(log2(2 * sqrt(faces)))


def walks(name: str) -> Sweeps:
    return [[f"{name}={width}" for width in WIDTHS]]


def refined_walks() -> Sweeps:
    """With codes alone, and with their best candidates scored by their vectors."""
    return [[f"ef={width} refine={factor}" for width in WIDTHS] for factor in (0, 4)]


def promised() -> Sweeps:
    """Plans that the gallery chooses by what it measured when it was built."""
    # Each by itself: two rates may be kept by one plan, which gains nothing and yet is not the end.
    return [[f"hit-rate={rate}"] for rate in (0.9, 0.95, 0.97, 0.98, 0.99, 0.995)]


def shares() -> Sweeps:
    return [[f"share={share}" for share in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)]]


def scans() -> Sweeps:
    return [[f"refine={factor}" for factor in REFINES]]


def visits(lists: int) -> Sweeps:
    numbers = [2**power for power in range(int(log2(lists)) + 1)]
    return [[f"nprobe={n} refine={factor}" for n in numbers] for factor in (5, 20, 100)]


def _faiss_codes(name: str, codes: str, lists: int) -> list[Index]:
    """Scanned whole, and by lists."""
    return [
        _rival(f"faiss {name}", "faiss_codes", "faiss-cpu", scans(), codes=codes),
        _rival(
            f"faiss IVF {name}", "faiss_codes", "faiss-cpu", visits(lists), codes=codes, lists=lists
        ),
    ]


def _own(name: str, version: str, sweeps: Sweeps, **parameters: int | str) -> Index:
    return Index(name, "ours", "lookalike", version, sweeps, parameters, native=True)


def _rival(name: str, engine: str, package: str, sweeps: Sweeps, **parameters: int | str) -> Index:
    return Index(name, engine, package, machine.package_version(package), sweeps, parameters)

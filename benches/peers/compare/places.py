"""Where things are, and which state of the project is measured. Standard library alone."""

import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target")).resolve()
HOME = TARGET / "peers"


@cache
def commit() -> str:
    """The commit, and a fingerprint of what was changed since."""
    short = _git("rev-parse", "--short", "HEAD").strip()
    changes = _git("diff", "HEAD")
    return f"{short}-changed-{_fingerprint(changes.encode())}" if changes else short


@cache
def sources() -> str:
    """A fingerprint of what decides how lookalike builds and searches."""
    files = sorted((PROJECT / "src").rglob("*.rs"))
    others = ("Cargo.toml", "Cargo.lock", "benches/peer.rs", "benches/common/mod.rs")
    files += [PROJECT / name for name in others]
    return _fingerprint(b"\0".join(file.read_bytes() for file in files))


def _fingerprint(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PROJECT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout

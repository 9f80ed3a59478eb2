"""The Python environment that the rivals are installed in. Standard library alone."""

import os
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "requirements.txt"


def enter(folder: Path) -> None:
    """Makes the environment where it is missing or out of date, and goes on inside it."""
    python = folder / "bin" / "python"
    installed = folder / "requirements.txt"
    wanted = REQUIREMENTS.read_text()
    if not installed.exists() or installed.read_text() != wanted:
        print(f"making the Python environment {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS]
        subprocess.run(install, check=True)
        installed.write_text(wanted)
    if Path(sys.prefix).resolve() != folder.resolve():
        os.execv(python, [str(python), "-B", *sys.argv])

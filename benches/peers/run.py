#!/usr/bin/env python3
"""Compares lookalike with other engines on the same gallery, probes and truth: see README.md.

Needs Python 3.11 and a C++ compiler; everything else goes into an environment of its own, made the
first time.
"""

import sys

sys.dont_write_bytecode = True

from compare import environment, options


def main() -> int:
    chosen = options.parse(sys.argv[1:])
    environment.enter(chosen.venv)
    # Only now: these need what the environment holds.
    from compare import comparison

    return comparison.run(chosen)


if __name__ == "__main__":
    sys.exit(main())

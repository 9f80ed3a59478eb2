"""The rivals that are called from Python: one module a library, each with a class `Rival`."""

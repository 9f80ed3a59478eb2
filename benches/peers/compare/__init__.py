"""lookalike and other engines, side by side.

data -> truth -> indexes (one child process a build) -> rounds (one child process a visit)
-> measures -> report
"""

"""What must not break, tried for minutes: hostile files, crowds, kills. `python -m benchmarks.soak --minutes 20`."""

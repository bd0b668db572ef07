"""How work runs: memory limits, cores, reading ahead, progress, measuring."""

"""Programs to be measured, started by path in processes that hold nothing else."""

"""What is measured: programs that are started by path, in processes that hold nothing else."""

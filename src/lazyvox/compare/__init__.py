"""Every way of doing one job, each in a process tree of its own, measured side by side."""

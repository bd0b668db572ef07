"""A run of real size from a seeded model, its regions, what work on it costs, and the figure."""

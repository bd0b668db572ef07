"""A run of real size from a seeded model, its regions, the costs of work on it, and a figure."""

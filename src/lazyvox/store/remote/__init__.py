"""Objects behind URLs: their names, options, connections, and reads by ranges."""

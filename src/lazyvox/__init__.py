"""lazyvox: brain images larger than memory."""

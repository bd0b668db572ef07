"""Output files: compressed or not, complete or absent."""

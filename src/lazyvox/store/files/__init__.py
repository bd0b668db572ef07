"""Files: paths, identities, descriptors, sequential reads, and temporary space."""

"""One pass over images: the scan, and the consumers that hang on it."""

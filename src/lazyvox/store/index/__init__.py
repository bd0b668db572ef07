"""Indexes of gzip files: their formats, places, records, and growth."""

"""The reader of delimited text, and tables of numbers with named columns over it."""

"""Small benchmarks for asv: each work by lazyvox, and by what one would use otherwise."""

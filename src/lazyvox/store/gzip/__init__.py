"""Gzip: members, deflate blocks, access points, and the segments between them."""

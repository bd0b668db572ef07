"""Names of BIDS, and the JSON files beside results."""

"""First-level GLM in one pass: sums over volumes, the fit that they allow, nilearn's interface."""

"""Execution: memory limits, cores, read-ahead, progress, measurement."""

from lazyvox.runtime.budget import memory_budget
from lazyvox.runtime.dry_run import plan
from lazyvox.runtime.measure import Measurement, measure
from lazyvox.runtime.peak import peak_memory
from lazyvox.runtime.prefetch import prefetch
from lazyvox.runtime.strict import strict

__all__ = ["Measurement", "measure", "memory_budget", "peak_memory", "plan", "prefetch", "strict"]

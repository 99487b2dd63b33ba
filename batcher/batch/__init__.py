"""RUNS a batch: everything built and held together, from the open ledger to the summary."""

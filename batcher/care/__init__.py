"""TENDS a batch between runs: put back, verify, rebuild, export. Nothing here is sent to be parsed, or paid for."""

"""What is done between runs: retry, verify, repair, rebuild, export."""

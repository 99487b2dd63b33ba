"""What is done between runs: retry, verify and repair, rebuild, export."""

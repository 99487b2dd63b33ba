"""DECIDES: the rules, pure. No clock, no chance, no I/O."""

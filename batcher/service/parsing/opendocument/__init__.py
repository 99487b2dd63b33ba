"""ODT and ODP, packed or flat: styles, and a walk over the text."""

"""All queries of the ledger, in groups by what they serve; each reads over one connection."""

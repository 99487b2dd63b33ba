"""Every question the ledger is asked, in groups by who asks; each reads over one connection."""

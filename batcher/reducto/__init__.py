"""Everything that is specific to the vendor's API, and the client that calls it.

That is: types, requests, answers, errors and prices.
"""

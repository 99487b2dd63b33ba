"""All that knows the vendor: its types, requests, answers, errors, prices, and the client that
speaks to it.
"""

"""The rest of the outside world: clock, rate limits, webhooks, notifications, the local service's
process.
"""

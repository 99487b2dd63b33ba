"""The rest of the outside world: clock, rate limits, webhooks, notifications, and errors' log.

It also runs the local service's process.
"""

"""Formats that are text: plain, Markdown, CSV; and how bytes become text."""

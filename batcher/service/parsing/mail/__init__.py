"""Messages: EML, and MSG of Outlook."""

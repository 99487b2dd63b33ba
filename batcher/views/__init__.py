"""What people read: progress, status, plans, reports."""

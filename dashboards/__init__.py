"""What people look at: the wallboard. No opinion on how it is deployed."""

"""What is true on the wire: events, their bytes and schemas, and the names of metrics."""

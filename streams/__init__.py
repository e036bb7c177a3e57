"""The monitor: from events in Kafka to numbers people read."""

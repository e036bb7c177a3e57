"""The pure core: events and time in, tallies and figures out.

It knows no clock, broker, log or environment.
"""

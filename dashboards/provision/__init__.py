"""Dashboards and alert rules into a Grafana 10 to 13 over HTTP, and what differs from them there.

`adapter` is the only module that knows `grafana_api`; `wanted` says what should be there,
`differences` what is otherwise, `reconciling` makes it so. None of it knows a setting or a command.
"""

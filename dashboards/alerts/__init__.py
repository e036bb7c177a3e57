"""What wakes people: one list of rules, written for Prometheus, its operator and Grafana.

`python -m dashboards.alerts.generate` writes the files under `deploy/`.
"""

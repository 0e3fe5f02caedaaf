"""What ships for other tools, see `footfall connect`: a Grafana dashboard (grafana.json), a dbt project (dbt/)."""

"""Footfall: self-hosted behavioural analytics. Start reading at record.py, then pipeline.py."""

__version__ = "0.1.0"

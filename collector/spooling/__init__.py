"""Segments on the disk: written before the answer, compressed when they must wait, within their budget."""

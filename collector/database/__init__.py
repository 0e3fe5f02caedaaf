"""The only door to ClickHouse, what stands in it, and what people may ask of it."""

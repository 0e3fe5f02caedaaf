"""The HTTP edge of a worker.

protocol.Protocol    connection: caps and deadlines on request heads
receive.Collector    events: a plain ASGI callable, the hot path
site.site            the rest: tag, demo, health, metrics, behind the Collector
"""

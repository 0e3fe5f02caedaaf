"""What people and the system start: the `footfall` command (main.py) and the processes that it begins.

Nothing is imported here: a worker needs none of the commands.
"""

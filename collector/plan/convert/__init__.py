"""The plan in other people's formats: JSON Schema out of it, and a first plan from what another product exports.

    Plan --jsonschema--> one standard JSON Schema per event
    file of another product --segment, rudderstack, avo, iglu--> Draft --write--> a folder of YAML and notes

`schema.py` turns JSON Schema, which all of them speak at heart, into the keywords of a plan.
"""

from __future__ import annotations

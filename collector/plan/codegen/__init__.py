"""Helpers generated from the plan: one function per event whose wrong use fails to compile.

    Plan --typescript, javascript, python--> files

A helper sets the event's version (`purchase@2`), so that nobody types one. In production it is one line without a
validator, which a bundler drops where it is not used; a development build of the same helpers also checks each event
against the plan and says in the console what is wrong, in the collector's own words.
"""

from __future__ import annotations

from collector.plan.codegen.files import LANGUAGES, generate
from collector.plan.codegen.names import CodegenError

__all__ = ["LANGUAGES", "CodegenError", "generate"]

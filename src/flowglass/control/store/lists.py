"""Lists of ids as one parameter of a statement.

Rule: a statement's text does not depend on how many ids are asked for: it is compiled once, and no database's limit of
parameters is met.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Text, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import GenericFunction


class _JsonTexts(GenericFunction[str]):
    """The texts of a JSON array, as rows of one column that both databases name `value`."""

    inherit_cache = True


@compiles(_JsonTexts, "sqlite")
def _on_sqlite(element: _JsonTexts, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_JsonTexts, "postgresql")
def _on_postgresql(element: _JsonTexts, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **options)} AS JSON))"


def among(column: ColumnElement[str], parameter: str) -> ColumnElement[bool]:
    """Whether the column is one of the texts of a parameter, which `listed` makes."""
    values = _JsonTexts(bindparam(parameter, type_=Text())).table_valued("value")
    return column.in_(select(values.c.value))


def listed(ids: Iterable[str]) -> str:
    """Ids as the parameter of `among`. Unprintable text is no id of anything, and PostgreSQL would refuse it."""
    return json.dumps([text for text in ids if text.isprintable()])

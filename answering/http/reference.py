"""GET /docs: the OpenAPI document as a page of plain HTML, without a script or an asset of anybody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import orjson

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}: API</title>
<link rel="stylesheet" href="/docs/reference.css">
<link rel="icon" href="/favicon.ico">
</head>
<body>
<header>
<h1>{title} <small>{version}</small></h1>
<p>{summary} <a href="/">Ask</a> · <a href="/openapi.json">OpenAPI document</a></p>
<p>The Model Context Protocol is spoken at <code>/mcp</code>.</p>
</header>
<nav aria-label="Routes"><ul>{contents}</ul></nav>
<main>
{routes}
<h2 id="schemas">Shapes</h2>
{schemas}
</main>
</body>
</html>
"""


def render(document: Mapping[str, Any]) -> str:
    """The page. document: OpenAPI 3.1, as FastAPI makes it."""
    routes = [
        (method, path, route)
        for path, methods in document["paths"].items()
        for method, route in methods.items()
        if isinstance(route, dict) and "responses" in route
    ]
    info = document["info"]
    return _PAGE.format(
        title=escape(info["title"]),
        version=escape(info["version"]),
        summary=_text(info.get("summary", "")),
        contents="".join(
            f'<li><a href="#{_anchor(method, path)}">{_name(method, path)}</a></li>' for method, path, _ in routes
        ),
        routes="\n".join(_route(*one) for one in routes),
        schemas="\n".join(_shape(*one) for one in document.get("components", {}).get("schemas", {}).items()),
    )


def _route(method: str, path: str, route: Mapping[str, Any]) -> str:
    body = route.get("requestBody", {}).get("content", {})
    parts = [
        f'<section><h2 id="{_anchor(method, path)}">{_name(method, path)}</h2>',
        f"<p>{_text(route.get('summary', ''))}</p>",
        f"<p>{_text(route['description'])}</p>" if "description" in route else "",
        _table("Parameters", ("Name", "In", "Type", "Meaning"), map(_parameter, route.get("parameters", ()))),
        _table("Body", ("Content type", "Shape"), ((_code(kind), _type(one["schema"])) for kind, one in body.items())),
        _table("Responses", ("Status", "Content type", "Shape", "Meaning"), _responses(route["responses"])),
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _parameter(one: Mapping[str, Any]) -> tuple[str, ...]:
    name = _field(one["name"], required=one.get("required", False))
    return name, escape(one["in"]), _type(one["schema"]), _text(one.get("description", ""))


def _responses(responses: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for status, response in responses.items():
        meaning = _text(response.get("description", ""))
        for kind, one in response.get("content", {"": {}}).items():
            yield escape(status), _code(kind) if kind else "", _type(one.get("schema", {})), meaning


def _shape(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    fields = (
        (
            _code(field) + (" <em>required</em>" if field in required else ""),
            _type(one),
            _text(one.get("description", "")),
        )
        for field, one in schema.get("properties", {}).items()
    )
    described = f"<p>{_text(schema['description'])}</p>" if "description" in schema else ""
    return (
        f'<section><h3 id="shape-{escape(name)}">{escape(name)}</h3>\n{described}\n'
        f"{_table('', ('Field', 'Type', 'Meaning'), fields)}</section>"
    )


def _table(caption: str, heads: tuple[str, ...], rows: Iterator[tuple[str, ...]] | map[tuple[str, ...]]) -> str:
    """A table without the columns that are empty; nothing without rows."""
    filled = list(rows)
    shown = [column for column in range(len(heads)) if any(row[column] for row in filled)]
    if not shown:
        return ""
    head = "".join(f'<th scope="col">{escape(heads[column])}</th>' for column in shown)
    body = "".join(f"<tr>{''.join(f'<td>{row[column]}</td>' for column in shown)}</tr>" for row in filled)
    titled = f"<caption>{escape(caption)}</caption>" if caption else ""
    table = f"<table>{titled}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0">{table}</div>'


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in one line; a shape that has a name is a link to it."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#shape-{name}">{name}</a>'
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[several]))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(_code(orjson.dumps(value).decode()) for value in values)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    named = escape(schema.get("format", schema.get("type", "anything")))
    bounds = [
        f"{told} {schema[name]:g}"
        for name, told in (
            ("minimum", "at least"), ("maximum", "at most"), ("minLength", "length at least"),
            ("maxLength", "length at most"),
        )
        if name in schema
    ]  # fmt: skip
    default = (
        f", default {_code(orjson.dumps(schema['default']).decode())}" if schema.get("default") is not None else ""
    )
    return named + "".join(f", {bound}" for bound in bounds) + default


def _anchor(method: str, path: str) -> str:
    return escape(re.sub(r"\W+", "-", f"{method}{path}").strip("-"))


def _name(method: str, path: str) -> str:
    return f"<code><b>{escape(method.upper())}</b> {escape(path)}</code>"


def _field(name: str, *, required: bool) -> str:
    return _code(name) + (" <em>required</em>" if required else "")


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _text(text: str) -> str:
    """A description: what stands in backquotes is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))

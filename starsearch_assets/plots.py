"""Figures as Markdown, for asset metadata in the Dagster UI."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def markdown_image(figure: Figure, description: str) -> str:
    """An inline PNG; `description` is what is read where it cannot be shown."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return f"![{description}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"

"""A mean and its error stay on one line: "0.43 ± 0.42" is one word where a narrow table wraps."""

from docutils import nodes
from sphinx.application import Sphinx


def keep_together(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put no-break spaces around the signs in the tables of a page."""
    for text in [text for entry in doctree.findall(nodes.entry) for text in entry.findall(nodes.Text)]:
        if " ± " in text:
            text.parent.replace(text, nodes.Text(text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the handler."""
    app.connect("doctree-resolved", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

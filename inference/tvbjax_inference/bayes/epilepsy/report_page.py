"""Parts of a page of HTML that needs nothing else: text is escaped, figures are within it."""

import base64
import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { margin: 0.3rem 0; font-size: 1.7rem; }
h2 { margin: 0 0 0.6rem; font-size: 1.25rem; }
section { margin: 2rem 0; }
.research { display: inline-block; margin: 0; padding: 0.25rem 0.7rem; background: #1a1a1a;
  color: #ffffff; font-weight: 700; letter-spacing: 0.03em; text-transform: uppercase; }
.banner { padding: 1rem 1.2rem; border-left: 0.5rem solid; }
.banner.bad { background: #fdecea; border-color: #c0392b; }
.banner.good { background: #eaf5ef; border-color: #2e7d5b; }
.warning { padding: 0.4rem 0.8rem; background: #fdecea; color: #8e2a1f; font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-size: 0.87rem; margin: 0.6rem 0 1.2rem; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.6rem 0.3rem 0;
  border-bottom: 1px solid #d9dce0; overflow-wrap: break-word; }
th { border-bottom: 2px solid #8a9099; }
tr.unknown td { color: #7a8087; font-style: italic; }
figure { margin: 1.2rem 0; }
img { max-width: 100%; height: auto; }
figcaption { font-size: 0.87rem; color: #555555; }
@media print {
  @page { size: A4; margin: 15mm; }
  body { margin: 0; max-width: none; font-size: 10.5pt; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  figure, tr, .banner { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""


def document(title: str, parts: Sequence[str]) -> str:
    """A whole page of parts that are HTML already."""
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def header(title: str, body: str) -> str:
    """The page's heading, and what is HTML already."""
    return f"<header><h1>{html.escape(title)}</h1>{body}</header>"


def section(title: str, body: str, kind: str = "") -> str:
    """A heading, and what is HTML already."""
    named = f' class="{kind}"' if kind else ""
    return f"<section{named}><h2>{html.escape(title)}</h2>{body}</section>"


def paragraph(text: str, kind: str = "") -> str:
    """A text."""
    named = f' class="{kind}"' if kind else ""
    return f"<p{named}>{html.escape(text)}</p>"


def listed(lines: Sequence[str]) -> str:
    """A line each."""
    return f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>"


def table(rows: Sequence[Sequence[str]], kinds: Sequence[str] = ()) -> str:
    """The first row are headings. `kinds`: the class of every row, empty for none."""
    found = []
    for number, row in enumerate(rows):
        tag = "td" if number else "th"
        named = f' class="{kinds[number]}"' if kinds and kinds[number] else ""
        inner = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
        found.append(f"<tr{named}>{inner}</tr>")
    return f"<table><thead>{found[0]}</thead><tbody>{''.join(found[1:])}</tbody></table>"


def picture(figure: "Figure", caption: str) -> str:
    """A figure within the page, as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    text = html.escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )

"""Model files as trees of frozen elements that know their place; safe against hostile XML.

The text is checked and decoded here, so lxml sees neither a DOCTYPE nor a surprising encoding.
lxml gives the tree; the places of tags and attributes are found by a scan of the same text, since
libxml2 reports only the line on which a start tag ends.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from .errors import Code, LemsError, Place, failure

NAMESPACE = "urn:tvbjax:lems:1"
SIZE_LIMIT = 16 * 1024 * 1024  # bytes; NeuroML's largest core file has 0.1 MB
NESTING_LIMIT = 50
ATTRIBUTE_LIMIT = 200  # of one element
ELEMENT_LIMIT = 250_000  # of a file and all that it includes

_DECLARATION = re.compile(r"""<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_PROLOG = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*(<!DOCTYPE)?", re.DOTALL)
_NOT_TAG = r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|</[^>]*>"
_START_TAG = re.compile(
    rf"(?:{_NOT_TAG})|<([^\s/>!?]+)((?:\s+[^\s=/>]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*/?>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([^\s=/>]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.DOTALL)
_REFERENCE = re.compile(r"&[^;]*;|\r\n|.", re.DOTALL)
_ENCODINGS = ("utf-8", "utf-16", "utf-32", "ascii", "iso8859", "cp125", "latin")


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute; `raw` is the text between the quotes, which starts at `place`."""

    name: str
    namespace: str
    value: str
    place: Place
    raw: str | None = None

    def at(self, offset: int) -> Place:
        """The place of the value's character `offset`, counting references such as &lt; once."""
        if self.raw is None:
            return self.place
        seen = [match.end() for match in _REFERENCE.finditer(self.raw)]
        end = 0 if offset <= 0 else seen[min(offset, len(seen)) - 1] if seen else 0
        before = self.raw[:end]
        lines = before.count("\n")
        column = len(before) - before.rfind("\n") if lines else self.place.column + len(before)
        return Place(self.place.file, self.place.line + lines, column)


@dataclass(frozen=True, slots=True)
class Lost:
    """Names that may have been declared where a file could not be read; `everything`: any name.

    An unknown name is no error of its own if it is among them.
    """

    names: frozenset[str] = frozenset()
    everything: bool = False

    def __contains__(self, name: str) -> bool:
        return self.everything or name in self.names

    def __or__(self, other: "Lost") -> "Lost":
        return Lost(self.names | other.names, self.everything or other.everything)


NOTHING = Lost()


@dataclass(frozen=True, slots=True)
class Element:
    """An element without its namespace; comments and processing instructions are dropped.

    `lost`: what the parts that a check has left out below it may have declared.
    """

    tag: str
    namespace: str
    attributes: tuple[Attribute, ...]
    children: tuple["Element", ...]
    place: Place
    text: str = ""
    lost: "Lost" = NOTHING

    def attribute(self, name: str, namespace: str = "") -> Attribute | None:
        return next(
            (a for a in self.attributes if a.name == name and a.namespace == namespace), None
        )

    def get(self, name: str, default: str = "") -> str:
        """The value of a LEMS attribute."""
        found = self.attribute(name)
        return default if found is None else found.value.strip()

    def ours(self, name: str) -> Attribute | None:
        """An attribute of tvbjax's own namespace."""
        return self.attribute(name, NAMESPACE)

    def named(self, *tags: str) -> tuple["Element", ...]:
        return tuple(child for child in self.children if child.tag in tags)


def read(path: Path) -> Element:
    """The root element of the file. Raises LemsError for whatever is not safe, well-formed XML."""
    return parse(_bytes(path), str(path))


def parse(data: bytes, file: str) -> Element:
    """The root element of a document in memory; `file` is the name that places carry."""
    if not data.strip():
        raise failure(Code.UNREADABLE, Place(file), "the file is empty")
    text = _decode(data, file).replace("\r\n", "\n").replace("\r", "\n")
    prolog = _PROLOG.match(text)
    if prolog and prolog.group(1):
        raise failure(
            Code.DOCTYPE,
            _place(file, text, prolog.start(1)),
            "the file has a DOCTYPE, which could define entities or name other files",
            "remove the DOCTYPE and write values in place of entities",
        )
    if text.count("<") - text.count("</") > 2 * ELEMENT_LIMIT:  # comments have one too
        message = f"the file has more than {ELEMENT_LIMIT} elements"
        raise failure(Code.TOO_LARGE, Place(file), message)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(text.encode("utf-8"), parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        reason = (error.msg or "no element found").split(", line ")[0]
        raise failure(
            Code.NOT_XML,
            Place(file, line or 1, column),
            f"not well-formed XML: {reason}",
            "write & as &amp; and < as &lt; (or .lt.) in attribute values" if "&" in text else "",
        ) from None
    except (ValueError, UnicodeError) as error:
        raise failure(Code.NOT_XML, Place(file), f"not XML: {error}") from None
    _check_size(root, file)
    return _element(root, _tags(text, file), file)


def _check_size(root: "etree._Element", file: str) -> None:
    # Before anything reads them: libxml2's look-up of attributes is linear, so that all is squared.
    for count, node in enumerate(root.iter(), 1):
        if len(node.attrib) > ATTRIBUTE_LIMIT:
            message = f"the element {str(node.tag)[:60]} has more than {ATTRIBUTE_LIMIT} attributes"
            raise failure(Code.TOO_LARGE, Place(file, node.sourceline or 0), message)
        if count > ELEMENT_LIMIT:
            message = f"the file has more than {ELEMENT_LIMIT} elements"
            raise failure(Code.TOO_LARGE, Place(file, node.sourceline or 0), message)


def _bytes(path: Path) -> bytes:
    place = Place(str(path))
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise failure(Code.UNREADABLE, place, "this is a folder; name an XML file")
        if not path.is_file():
            raise failure(Code.UNREADABLE, place, "this is not a regular file")
        if size > SIZE_LIMIT:
            raise failure(
                Code.TOO_LARGE, place, f"the file has {size} bytes; at most {SIZE_LIMIT} are read"
            )
        return path.read_bytes()
    except LemsError:
        raise
    except FileNotFoundError:
        raise failure(Code.UNREADABLE, place, "no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise failure(Code.UNREADABLE, place, f"cannot read the file: {reason}") from None


def _decode(data: bytes, file: str) -> str:
    encoding = _encoding(data, file)
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except (UnicodeError, LookupError):
        raise failure(
            Code.UNREADABLE,
            Place(file),
            f"the file is not {encoding} text",
            "is it an XML file? save it as UTF-8",
        ) from None


def _encoding(data: bytes, file: str) -> str:
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if data[:4] == b"<\0?\0":
        return "utf-16-le"
    if data[:4] == b"\0<\0?":
        return "utf-16-be"
    declared = _DECLARATION.match(data[:200].decode("ascii", "replace"))
    name = declared.group(1) if declared else "utf-8"
    try:
        known = codecs.lookup(name).name
    except LookupError:
        known = ""
    if not known.startswith(_ENCODINGS):
        raise failure(
            Code.UNREADABLE, Place(file), f"encoding '{name}' is not read", "save it as UTF-8"
        )
    # A text that got as far as an ASCII declaration cannot be UTF-16, whatever it says.
    return "utf-8" if known.startswith(("utf-16", "utf-32")) else known


def _place(file: str, text: str, offset: int) -> Place:
    return Place(file, text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


@dataclass(frozen=True, slots=True)
class _Tag:
    name: str
    place: Place
    attributes: dict[str, tuple[str, Place]]  # prefixed name -> (raw value, place of its start)


def _tags(text: str, file: str) -> Iterator[_Tag]:
    """The start tags of a well-formed text in document order."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    line = 0

    def place(offset: int) -> Place:
        nonlocal line
        while line + 1 < len(starts) and starts[line + 1] <= offset:
            line += 1
        return Place(file, line + 1, offset - starts[line] + 1)

    for match in _START_TAG.finditer(text):
        if match.group(1) is None:
            continue
        found = place(match.start())
        attributes = {}
        for item in _ATTRIBUTE.finditer(text, match.start(2), match.end(2)):
            group = 2 if item.group(2) is not None else 3
            attributes[item.group(1)] = (item.group(group), place(item.start(group)))
        yield _Tag(match.group(1), found, attributes)


def _element(node: "etree._Element", tags: Iterator[_Tag], file: str, depth: int = 0) -> Element:
    name = etree.QName(node)
    tag = next(tags, None)
    if tag is None or tag.name.rpartition(":")[2] != name.localname:
        tag = _Tag(name.localname, Place(file, node.sourceline or 0), {})
    if depth > NESTING_LIMIT:
        message = f"elements are nested more than {NESTING_LIMIT} deep"
        raise failure(Code.TOO_LARGE, tag.place, message)
    prefixes = {uri: prefix for prefix, uri in node.nsmap.items()}
    attributes = []
    for key, value in node.attrib.items():
        uri, _, local = str(key).removeprefix("{").rpartition("}")
        written = f"{prefixes[uri]}:{local}" if uri and prefixes.get(uri) else local
        raw, place = tag.attributes.get(written, (None, tag.place))
        attributes.append(Attribute(local, uri, str(value), place, raw))
    children = tuple(
        _element(child, tags, file, depth + 1) for child in node if isinstance(child.tag, str)
    )
    text = (node.text or "").strip()
    return Element(
        name.localname, name.namespace or "", tuple(attributes), children, tag.place, text
    )


def serialise(root: Element) -> str:
    """The text of a tree, indented, with tvbjax's namespace under its own name."""
    node = etree.Element(root.tag, nsmap={"tvbjax": NAMESPACE})
    _fill(node, root)
    text = etree.tostring(node, pretty_print=True, xml_declaration=True, encoding="UTF-8")
    return text.decode("utf-8")


def _fill(node: "etree._Element", element: Element) -> None:
    for attribute in element.attributes:
        prefix = f"{{{attribute.namespace}}}" if attribute.namespace else ""
        node.set(prefix + attribute.name, attribute.value)
    for child in element.children:
        _fill(etree.SubElement(node, child.tag), child)

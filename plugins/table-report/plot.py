"""The distributions of the numeric columns as an SVG image: a panel for each."""

from xml.sax.saxutils import escape

#: Panels in a row, and at most.
ACROSS = 3
MAX_PANELS = 24
WIDTH, HEIGHT = 320, 200
LEFT, TOP, RIGHT, BOTTOM = 12, 34, 12, 30

STYLE = (
    "text{font:12px sans-serif;fill:#222}.name{font-weight:bold}.small{font-size:11px;fill:#555}"
    ".bar{fill:#4c78a8}.mean{stroke:#e45756;stroke-dasharray:4 3}.median{stroke:#222}.axis{stroke:#999}"
)


def svg(columns, title):
    """Yields the image in pieces."""
    numeric = [column for column in columns if column.is_numeric]
    shown = numeric[:MAX_PANELS]
    rows = max(1, -(-len(shown) // ACROSS))
    width, height = ACROSS * WIDTH, rows * HEIGHT + 40
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
    yield f'<style>{STYLE}</style>\n<rect width="{width}" height="{height}" fill="#fff"/>\n'
    if len(shown) < len(numeric):
        title += f", the first {len(shown)} of {len(numeric)} numeric columns"
    yield f'<text x="{LEFT}" y="22" class="name">{text(title, 110)}</text>\n'
    if not shown:
        yield f'<text x="{LEFT}" y="60">No column has numbers.</text>\n'
    for number, column in enumerate(shown):
        x, y = number % ACROSS * WIDTH, number // ACROSS * HEIGHT + 40
        yield f'<g transform="translate({x} {y})">\n'
        yield from panel(column)
        yield "</g>\n"
    yield "</svg>\n"


def panel(column):
    """The panel of one column: its histogram, with the mean (dashed) and the median."""
    numbers = column.numbers
    bars = numbers.histogram.bars()
    low, high = bars[0][0], bars[-1][1]
    # A column of one value, or of values that are no different when they are halved: it stands in the middle.
    if high / 2 - low / 2 <= 0:
        # Wide enough that a large number and its margin are not the same.
        value, margin = low, max(0.5, abs(low) * 1e-9)
        low, high = value - margin, value + margin
        bars = [(value - margin / 5, value + margin / 5, sum(count for _, _, count in bars))]
    inner, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    span, most = high / 2 - low / 2, max(count for _, _, count in bars)
    base = HEIGHT - BOTTOM

    def across(value):
        # Halves, since a span of the largest numbers is none of them.
        return LEFT + inner * min(max((value / 2 - low / 2) / span, 0.0), 1.0)

    yield f'<text x="{LEFT}" y="16" class="name">{text(column.name, 40)}</text>\n'
    missing = f", {column.missing} missing" if column.missing else ""
    yield f'<text x="{WIDTH - RIGHT}" y="16" class="small" text-anchor="end">{numbers.count} values{missing}</text>\n'
    for start, end, count in bars:
        if count:
            x, wide, high_up = across(start), across(end) - across(start), tall * count / most
            yield (
                f'<rect class="bar" x="{x:.2f}" y="{base - high_up:.2f}" '
                f'width="{max(wide - 0.5, 0.5):.2f}" height="{high_up:.2f}"/>\n'
            )
    yield f'<path class="axis" d="M{LEFT} {base}H{WIDTH - RIGHT}"/>\n'
    for kind, value in (("median", numbers.quantile(0.5)), ("mean", numbers.mean)):
        yield f'<path class="{kind}" d="M{across(value):.2f} {TOP}V{base}"/>\n'
    yield f'<text x="{LEFT}" y="{base + 16}" class="small">{low:.6g}</text>\n'
    yield f'<text x="{WIDTH - RIGHT}" y="{base + 16}" class="small" text-anchor="end">{high:.6g}</text>\n'


def text(value, longest):
    """Text of a stranger's file: short, and nothing but text."""
    if len(value) > longest:
        value = value[: longest - 1] + "\u2026"
    # XML has no way to write most control characters.
    return escape("".join(char if char.isprintable() else "\ufffd" for char in value))

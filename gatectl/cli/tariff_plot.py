"""The price of a stay over its duration, as blocks in a terminal or as a PNG picture."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatectl.domain.money import decimal_text, shown

HOUR_MS: Final = 3_600_000
COLUMNS: Final = 64
ROWS: Final = 14
WIDTH, HEIGHT, MARGIN = 960, 540, 110
"""Pixels; the margin on all sides is for the labels."""
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_GRID_HOURS: Final = (1, 2, 3, 6, 12, 24, 48, 168, 336, 720, 1440, 2880)
_LABELS_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class Curve:
    """`price` gives minor units for a stay of so many milliseconds."""

    price: Callable[[int], int]
    hours: int
    title: str
    currency: str

    def sampled(self, count: int) -> list[int]:
        """Prices of `count` stays, the last `hours` long, the others in even steps below it."""
        return [self.price(self.hours * HOUR_MS * (number + 1) // count) for number in range(count)]

    def grid_hours(self) -> int:
        """Hours between two labels of the time axis."""
        return next((hours for hours in _GRID_HOURS if self.hours // hours <= _LABELS_MAX), _GRID_HOURS[-1])


def terminal(curve: Curve) -> Iterator[str]:
    """Lines of text: title, bars with the price at the left, hours below."""
    prices = curve.sampled(COLUMNS)
    top = max(*prices, 1)
    yield curve.title
    width = len(decimal_text(top, curve.currency))
    for row in range(ROWS - 1, -1, -1):
        eighths = [min(8, max(0, -(-price * ROWS * 8 // top) - row * 8)) for price in prices]
        label = decimal_text(top * (row + 1) // ROWS, curve.currency)
        yield f"{label:>{width}} |{''.join(_EIGHTHS[part] for part in eighths)}".rstrip()
    yield f"{'':>{width}} +{'-' * COLUMNS}"
    step = curve.grid_hours()
    scale = [" "] * (COLUMNS + 8)
    for hours in range(step, curve.hours + 1, step):
        text = f"{hours} h"
        end = COLUMNS * hours // curve.hours
        scale[max(0, end - len(text)) : end] = text
    yield f"{'':>{width}}  {''.join(scale).rstrip()}"


def picture(curve: Curve, path: Path) -> None:
    """Draw a PNG. Raises ImportError without Pillow, OSError when the file cannot be written."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(15)
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    columns, rows = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN
    prices = curve.sampled(columns)
    top = max(*prices, 1)
    draw.text((MARGIN, MARGIN // 2), f"{curve.title}: price of a stay", fill="black", font=font, anchor="lm")
    for part in range(5):
        y = HEIGHT - MARGIN - rows * part // 4
        draw.line((MARGIN, y, WIDTH - MARGIN, y), fill="#d0d0d0")
        label = shown(top * part // 4, curve.currency)
        draw.text((MARGIN - 6, y), label, fill="black", font=font, anchor="rm")
    step = curve.grid_hours()
    for hours in range(0, curve.hours + 1, step):
        x = MARGIN + columns * hours // curve.hours
        draw.line((x, MARGIN, x, HEIGHT - MARGIN), fill="#e8e8e8")
        draw.text((x, HEIGHT - MARGIN + 8), f"{hours} h", fill="black", font=font, anchor="mt")
    points = [(MARGIN + number, HEIGHT - MARGIN - rows * price // top) for number, price in enumerate(prices)]
    draw.line(points, fill="#1f5fa8", width=3)
    image.save(path, "PNG")

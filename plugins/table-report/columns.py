"""What is known of a column after each value, in memory that does not grow with the number of rows."""

import math
import random

#: Texts that stand for no value.
MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "-"))
#: Values that quantiles are taken from; of more, a sample.
SAMPLE = 4096
#: Different texts that are counted; of more it is only known that there are more.
DISTINCT = 1000
#: The longest text that is told.
SHOWN = 60
#: The finest histogram that is kept.
BINS = 96

QUANTILES = (("p05", 0.05), ("p25", 0.25), ("median", 0.5), ("p75", 0.75), ("p95", 0.95))


class Column:
    """One column."""

    def __init__(self, name, decimal):
        self.name = name
        self._comma = decimal == ","
        self.missing = 0
        self.numbers = Numbers()
        self.texts = Texts()
        self.commas = 0

    def add(self, text, line):
        """Counts the field of a row."""
        text = text.strip()
        if text.lower() in MISSING:
            self.missing += 1
            return
        value = self._number(text)
        if value is None:
            self.texts.add(text, line)
        else:
            self.numbers.add(value)

    def _number(self, text):
        if "," in text:
            if text.count(",") > 1 or "." in text:
                return None
            if not self._comma:
                self.commas += 1
                return None
            text = text.replace(",", ".")
        # Python takes these for numbers, and nobody else does.
        if "_" in text or not text.isascii():
            return None
        try:
            value = float(text)
        except ValueError:
            return None
        # Infinity has no place in a histogram: it is told as text.
        return value if math.isfinite(value) else None

    @property
    def is_numeric(self):
        """Whether most of its values are numbers."""
        return self.numbers.count > self.texts.count

    def summary(self):
        """What the report says of it."""
        values = self.numbers.count + self.texts.count
        kind = "empty" if values == 0 else "number" if self.is_numeric else "text"
        told = {"name": self.name, "kind": kind, "values": values, "missing": self.missing}
        if self.numbers.count:
            told["numbers"] = self.numbers.summary()
        if self.texts.count:
            told["texts"] = self.texts.summary()
        return told


class Numbers:
    """The numbers of a column."""

    def __init__(self):
        self.count = 0
        self.least, self.greatest = math.inf, -math.inf
        self.mean, self._squares = 0.0, 0.0
        self.histogram = Histogram()
        self._sample = []
        # The same numbers in each run, so that a report is the same too.
        self._random = random.Random(1)

    def add(self, value):
        self.count += 1
        self.least, self.greatest = min(self.least, value), max(self.greatest, value)
        # Welford: exact for values that lie close together, far from 0.
        delta = value - self.mean
        self.mean += delta / self.count
        self._squares += delta * (value - self.mean)
        self.histogram.add(value)
        if len(self._sample) < SAMPLE:
            self._sample.append(value)
            return
        place = int(self._random.random() * self.count)
        if place < SAMPLE:
            self._sample[place] = value

    def quantile(self, share):
        """Interpolated between the two values beside it."""
        values = sorted(self._sample)
        place = share * (len(values) - 1)
        low = int(place)
        high = min(low + 1, len(values) - 1)
        return values[low] + (values[high] - values[low]) * (place - low)

    def summary(self):
        deviation = math.sqrt(max(self._squares, 0.0) / (self.count - 1)) if self.count > 1 else 0.0
        told = {"count": self.count, "min": self.least, "max": self.greatest, "mean": self.mean, "stddev": deviation}
        told.update((name, self.quantile(share)) for name, share in QUANTILES)
        # JSON has no word for what is beyond the largest number.
        told = {name: value if math.isfinite(value) else None for name, value in told.items()}
        told["quantiles_from"] = len(self._sample)
        return told


class Histogram:
    """Counts in bins of one width, a power of two. When values lie too far apart for so many bins, two become one: the counts
    stay exact, and the range need not be known before."""

    def __init__(self):
        self.width = None
        self.bins = {}
        self._low = self._high = 0
        self._first = None
        self._count = 0

    def add(self, value):
        if self.width is None:
            if self._first is None:
                self._first = value
            if value == self._first:
                self._count += 1
                return
            # About as wide that these two are at opposite ends.
            distance = max(abs(value - self._first) / BINS, 1e-300)
            self.width = 2.0 ** max(min(math.frexp(distance)[1], 1023), -1000)
            self._put(self._first, self._count)
        self._put(value, 1)

    def _put(self, value, count):
        place = value / self.width
        # Beyond this, neighbouring bins can't be told apart.
        while abs(place) >= 2.0**52:
            self._widen()
            place = value / self.width
        place = math.floor(place)
        if self.bins:
            self._low, self._high = min(self._low, place), max(self._high, place)
        else:
            self._low = self._high = place
        self.bins[place] = self.bins.get(place, 0) + count
        while self._high - self._low >= BINS:
            self._widen()

    def _widen(self):
        self.width *= 2
        wider = {}
        for place, count in self.bins.items():
            wider[place // 2] = wider.get(place // 2, 0) + count
        self.bins = wider
        self._low, self._high = self._low // 2, self._high // 2

    def bars(self):
        """`(from, to, count)` of each bin from the first to the last, empty ones too."""
        if self.width is None:
            return [] if self._first is None else [(self._first, self._first, self._count)]
        places = range(self._low, self._high + 1)
        return [(place * self.width, (place + 1) * self.width, self.bins.get(place, 0)) for place in places]


class Texts:
    """What of a column is no number."""

    def __init__(self):
        self.count = 0
        self.first_line = None
        self._counts = {}
        self._more = False

    def add(self, text, line):
        self.count += 1
        if self.first_line is None:
            self.first_line = line
        text = text[:SHOWN]
        if text in self._counts:
            self._counts[text] += 1
        elif len(self._counts) < DISTINCT:
            self._counts[text] = 1
        else:
            self._more = True

    def summary(self):
        frequent = sorted(self._counts.items(), key=lambda entry: (-entry[1], entry[0]))[:5]
        return {
            "count": self.count,
            "first_line": self.first_line,
            "distinct": len(self._counts),
            "distinct_is_more": self._more,
            "most_frequent": [{"text": text, "count": count} for text, count in frequent],
        }

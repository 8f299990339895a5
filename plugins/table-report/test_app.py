import gzip
import json
import math
import pathlib
import re
import statistics
import unittest
import xml.etree.ElementTree as ElementTree

import app
import columns
import params
from posemesh_runner import Unavailable
from posemesh_runner.testing import run

POINTS = "name,height\nnorth,1.5\neast,4\nsouth,2\nwest,0.5\n"


def report(data, meta=None, **options):
    outcome = run(app.run, {"points.csv": data}, meta, **options)
    if outcome.error is not None:
        raise AssertionError(f"{outcome.case}: {outcome.reason}") from outcome.error
    return outcome.json("report.json")


def reason(data, meta=None, **options):
    outcome = run(app.run, {"points.csv": data}, meta, **options)
    return outcome.case, outcome.reason


class ReportTest(unittest.TestCase):
    def test_a_column_of_one_large_number_has_a_panel_too(self):
        for value in ["1700000000000000000", "1e16", "9007199254740993", "-1e300", "1.7e308", "0", "5e-324"]:
            told = report(f"id,v\n{value},1\n{value},2\n")
            self.assertEqual(told["columns"][0]["numbers"]["min"], float(value))
        self.assertEqual(report("v\n0\n5e-324\n")["columns"][0]["numbers"]["max"], 5e-324)

    def test_numbers_and_texts_are_told_apart(self):
        told = report(POINTS)
        name, height = told["columns"]
        self.assertEqual((told["rows"], name["kind"], height["kind"]), (4, "text", "number"))
        self.assertEqual(name["texts"]["most_frequent"][0], {"text": "east", "count": 1})
        numbers = height["numbers"]
        self.assertEqual((numbers["min"], numbers["max"], numbers["mean"], numbers["median"]), (0.5, 4.0, 2.0, 1.75))
        self.assertAlmostEqual(numbers["stddev"], statistics.stdev([1.5, 4, 2, 0.5]))

    def test_statistics_are_those_of_the_library(self):
        values = [math.sin(n) * 10 ** (n % 7) for n in range(3000)]
        numbers = report("x\n" + "".join(f"{value!r}\n" for value in values))["columns"][0]["numbers"]
        self.assertTrue(math.isclose(numbers["mean"], statistics.fmean(values), rel_tol=1e-9))
        self.assertTrue(math.isclose(numbers["stddev"], statistics.stdev(values), rel_tol=1e-9))
        quantiles = statistics.quantiles(values, n=20, method="inclusive")
        self.assertTrue(math.isclose(numbers["p05"], quantiles[0]) and math.isclose(numbers["p95"], quantiles[18]))

    def test_the_quantiles_of_many_rows_are_from_a_sample_and_the_same_each_time(self):
        data = "x\n" + "".join(f"{n}\n" for n in range(20_000))
        one, other = report(data), report(data)
        self.assertEqual(one, other)
        numbers = one["columns"][0]["numbers"]
        self.assertEqual((numbers["count"], numbers["quantiles_from"]), (20_000, columns.SAMPLE))
        self.assertTrue(9_500 < numbers["median"] < 10_500, numbers["median"])

    def test_values_that_no_other_program_takes_for_numbers_are_texts(self):
        told = report("x\n1_000\ninf\n\u0661\n1e3\n")["columns"][0]
        self.assertEqual((told["numbers"]["count"], told["texts"]["count"], told["texts"]["first_line"]), (1, 3, 2))

    def test_extreme_numbers_overflow_nothing(self):
        outcome = run(app.run, {"a.csv": "x\n1e308\n-1e308\n5e-324\n"})
        text = outcome.artifacts["report.json"].decode()
        self.assertNotIn("Infinity", text)
        self.assertNotIn("NaN", text + outcome.artifacts["distributions.svg"].decode())

    def test_missing_values_are_counted(self):
        column = report("x,y\n1,a\n,b\nNaN,c\nn/a,d\n")["columns"][0]
        self.assertEqual((column["values"], column["missing"], column["kind"]), (1, 3, "number"))

    def test_columns_can_be_chosen_and_equal_names_be_told_apart(self):
        told = report("a,b,a\n1,2,3\n", {"columns": ["a_2", "b"]})
        self.assertEqual([column["name"] for column in told["columns"]], ["a_2", "b"])
        self.assertEqual(told["columns"][0]["numbers"]["min"], 3)

    def test_a_table_without_header_has_numbered_columns(self):
        told = report("1,2\n3,4\n", {"header": False})
        self.assertEqual((told["rows"], told["columns"][1]["name"]), (2, "column_2"))

    def test_a_histogram_counts_exactly_whatever_comes(self):
        histogram = columns.Histogram()
        values = [0.001 * n for n in range(500)] + [1e6, -1e6]
        for value in values:
            histogram.add(value)
        bars = histogram.bars()
        self.assertEqual(sum(count for _, _, count in bars), len(values))
        self.assertLessEqual(len(bars), columns.BINS)
        for low, high, count in bars:
            self.assertEqual(count, sum(low <= value < high for value in values))


class FormatTest(unittest.TestCase):
    def test_encodings_are_found_by_their_marks_or_asked_for(self):
        table = "Größe;Höhe\n1,5;ä\n"
        for encoding, meta in (
            ("utf-8-sig", {}),
            ("utf-16", {}),
            ("utf-16-be", {"encoding": "utf-16-be"}),
            ("windows-1252", {"encoding": "windows-1252"}),
        ):
            told = report(table.encode(encoding), {"decimal": ",", **meta})
            self.assertEqual([column["name"] for column in told["columns"]], ["Größe", "Höhe"], encoding)
            self.assertEqual(told["columns"][0]["numbers"]["max"], 1.5)

    def test_bytes_that_are_no_text_are_told_with_their_line(self):
        lines = b"a,b\n" + b"1,2\n" * 30_000 + b"gr\xf6sser,2\n"
        case, text = reason(lines)
        self.assertEqual(case, "InvalidInput")
        self.assertIn("line 30002 of points.csv: byte 0xf6 is no utf-8", text)
        self.assertIn("windows-1252", text)

    def test_line_ends_of_any_system_are_read(self):
        for end in ("\n", "\r\n", "\r"):
            told = report(POINTS.replace("\n", end))
            self.assertEqual((told["rows"], told["columns"][1]["numbers"]["max"]), (4, 4.0), repr(end))

    def test_delimiters_are_found(self):
        for delimiter in ",;\t|":
            told = report(f'"a{delimiter}b"{delimiter}c\n1{delimiter}2\n')
            self.assertEqual((told["delimiter"], len(told["columns"])), (delimiter, 2))

    def test_a_packed_table_is_unpacked_and_one_that_is_cut_off_is_not_shorter(self):
        packed = gzip.compress(POINTS.encode() * 1, mtime=0)
        self.assertTrue(report(packed)["is_packed"])
        self.assertIn("is cut off", reason(packed[:-12])[1])
        self.assertIn("is damaged", reason(packed[:-6] + b"\0\0" + packed[-4:])[1])

    def test_what_is_no_table_is_called_what_it_is(self):
        self.assertIn("a ZIP archive", reason(b"PK\x03\x04" + bytes(50))[1])
        self.assertIn("NUL bytes", reason(b"a\0,\0b\0\n\0")[1])

    def test_decimal_commas_are_noticed(self):
        told = report("a;b\n1,5;2\n2,5;3\n")
        self.assertEqual(told["notes"], ['a: 2 values are numbers if the task says "decimal": ","'])


class BadRowsTest(unittest.TestCase):
    def test_broken_rows_are_left_out_counted_and_told_with_their_line(self):
        told = report('a,b\n1,2\n3\n"x"y,4\n5,6\n\n7,8\n')
        self.assertEqual((told["rows"], told["bad_rows"]), (3, 2))
        self.assertEqual(told["first_bad_rows"][0], {"line": 3, "problem": "it has 1 fields, and the header 2"})
        self.assertEqual(told["first_bad_rows"][1]["line"], 4)

    def test_the_line_of_a_row_is_that_in_which_it_begins(self):
        told = report('a,b\n"1\n2",x\n3\n4,5\n6,7\n')
        self.assertEqual(told["first_bad_rows"], [{"line": 4, "problem": "it has 1 fields, and the header 2"}])

    def test_a_task_can_want_no_broken_row(self):
        self.assertEqual(
            reason("a,b\n1,2\n3\n", {"bad_rows": "fail"}),
            ("InvalidInput", "line 3 of points.csv: it has 1 fields, and the header 2"),
        )

    def test_more_broken_rows_than_others_are_an_error(self):
        case, text = reason("a,b\n1\n2\n3,4\n")
        self.assertEqual(case, "InvalidInput")
        self.assertIn("2 of 3 rows can't be read", text)

    def test_a_quotation_mark_that_is_not_closed_is_named(self):
        told = report('a,b\n1,2\n3,4\n5,"6\n')
        self.assertIn("quotation mark is not closed", told["first_bad_rows"][0]["problem"])
        self.assertEqual(told["first_bad_rows"][0]["line"], 4)

    def test_a_field_without_end_is_one_broken_row(self):
        told = report("a,b\n" + "1,2\n" * 10 + '3,"' + "x" * 140_000 + "\n4,5\n")
        self.assertEqual((told["rows"], told["bad_rows"]), (11, 1))
        self.assertIn("more than 131072 characters", told["first_bad_rows"][0]["problem"])

    def test_empty_files_say_what_they_lack(self):
        self.assertIn("is empty", reason("")[1])
        self.assertIn("is empty", reason("\n\n")[1])
        self.assertIn("no rows", reason("a,b\n")[1])


class TaskTest(unittest.TestCase):
    def test_parameters_that_mean_nothing_are_refused(self):
        self.assertEqual(reason(POINTS, {"colums": ["a"]})[0], "InvalidTask")
        self.assertIn("it can be '.', ','", reason(POINTS, {"decimal": "x"})[1])
        self.assertIn("both ','", reason(POINTS, {"decimal": ",", "delimiter": ","})[1])
        self.assertEqual(reason(POINTS, ["height"])[0], "InvalidTask")

    def test_a_column_that_is_not_there_is_told_with_those_that_are(self):
        self.assertEqual(
            reason(POINTS, {"columns": ["width"]}),
            ("InvalidInput", "line 1 of points.csv: there is no column 'width', but 'name', 'height'"),
        )

    def test_a_download_that_breaks_off_is_not_the_inputs_fault(self):
        broken = {"points.csv": Unavailable("the domain server answers 503")}
        self.assertEqual(reason(POINTS, fail=broken), ("Unavailable", "the domain server answers 503"))

    def test_a_task_that_is_cancelled_stores_nothing(self):
        outcome = run(app.run, {"a.csv": "x\n" + "1\n" * 300_000}, cancel_at=0.1)
        self.assertEqual((outcome.case, outcome.artifacts), ("Cancelled", {}))

    def test_names_of_strangers_are_text_in_the_image(self):
        outcome = run(app.run, {"<b>.csv": 'x<script>&"\x01\n1\n2\n'})
        image = outcome.artifacts["distributions.svg"].decode()
        ElementTree.fromstring(image)
        self.assertNotIn("<script>", image)

    def test_an_interpreter_without_memory_names_the_limit_and_who_can_raise_it(self):
        def full(task):
            raise MemoryError

        outcome = run(full)
        self.assertEqual(outcome.case, "Failed")
        self.assertRegex(outcome.reason, r"`memory_bytes` of 512 MiB; its author asks for more by `memory_mib`.*NAME.toml")

    def test_many_columns_are_drawn_up_to_a_number(self):
        header = ",".join(f"c{n}" for n in range(30))
        outcome = run(app.run, {"a.csv": header + "\n" + ",".join(["1"] * 30) + "\n"})
        self.assertIn("the first 24 of 30", outcome.artifacts["distributions.svg"].decode())

    def test_the_schema_names_the_parameters_that_are_read(self):
        schema = json.loads(params.SCHEMA)["properties"]
        task = type("Task", (), {"params": {}, "param": lambda self, name, default: default})()
        self.assertEqual(sorted(schema), sorted(vars(params.Params(task))))
        self.assertEqual(tuple(schema["encoding"]["enum"]), params.ENCODINGS)

    def test_blank_lines_fill_no_memory_and_can_be_cancelled(self):
        self.assertEqual(report("\n" * 200_000 + POINTS)["rows"], 4)
        self.assertEqual(reason("\n" * 200_000 + POINTS + "short\n", {"bad_rows": "fail"})[1][:20], "line 200006 of points"[:20])
        case, told = reason(" \n" * 200_000 + POINTS)
        self.assertEqual(case, "InvalidInput")
        self.assertIn("begins with more than 100000 blank lines", told)
        case, told = reason((" " * 100_000 + "\n") * 100 + POINTS)
        self.assertEqual(case, "InvalidInput")
        self.assertIn("8388608 blank characters", told)
        packed = gzip.compress(POINTS.encode() + b"\n" * 3_000_000)
        self.assertEqual(reason(packed, cancel_at=0.0)[0], "Cancelled")

    def test_the_version_is_that_of_the_project(self):
        here = pathlib.Path(__file__).parent
        versions = [
            re.search(r'^\s*version ?= ?"(.*)"', (here / name).read_text(), re.MULTILINE).group(1)
            for name in ("pyproject.toml", "app.py")
        ]
        self.assertEqual(len(set(versions)), 1, versions)


if __name__ == "__main__":
    unittest.main()

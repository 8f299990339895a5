import unittest

import app
from posemesh_runner import Unavailable
from posemesh_runner.testing import run

POINTS = "name,height\na,1\nb,4\nc,1\n"


class AppTest(unittest.TestCase):
    def test_a_column_is_summarised(self):
        outcome = run(app.run, {"points.csv": POINTS}, {"column": "height"})
        self.assertIsNone(outcome.error)
        self.assertEqual(outcome.json("summary.json"), {"rows": 3, "min": 1.0, "max": 4.0, "mean": 2.0})

    def test_what_is_wrong_is_said_with_its_line(self):
        outcome = run(app.run, {"points.csv": "height\n1\nhigh\n"}, {"column": "height"})
        self.assertEqual((outcome.case, outcome.reason), ("InvalidInput", "line 3: ['high'] has no number in height"))

    def test_a_download_that_breaks_off_is_not_the_inputs_fault(self):
        broken = {"points.csv": Unavailable("the domain server answers 503")}
        outcome = run(app.run, {"points.csv": POINTS}, {"column": "height"}, fail=broken)
        self.assertEqual((outcome.case, outcome.reason), ("Unavailable", "the domain server answers 503"))


if __name__ == "__main__":
    unittest.main()

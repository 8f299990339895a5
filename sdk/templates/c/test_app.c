/* Natively, without a component or a node: `make test`. */

#include "posemesh/testing.h"

#define META "{\"column\": \"height\"}"

static pm_outcome run(const char *csv, bool breaks) {
  static pm_test_input input;
  static pm_test test;
  input = (pm_test_input){.cid = "points.csv", .bytes = csv, .breaks = breaks, .error = {PM_UNAVAILABLE, "it answers 503"}};
  test = (pm_test){.inputs = &input, .count = 1, .meta = META};
  return pm_test_run(&the_runner, &test);
}

int main(void) {
  pm_outcome outcome = run("name,height\na,1\nb,4\nc,1\n", false);
  PM_CHECK_TEXT(outcome.reason, NULL);
  PM_CHECK_TEXT(pm_outcome_text(&outcome, "summary.json"),
                "{\n  \"rows\": 3,\n  \"min\": 1,\n  \"max\": 4,\n  \"mean\": 2\n}\n");

  /* What is wrong is said with its line. */
  outcome = run("height\n1\nhigh\n", false);
  PM_CHECK(outcome.kind == PM_INVALID_INPUT);
  PM_CHECK_TEXT(outcome.reason, "line 3: high in height is no number");

  /* A download that breaks off is not the fault of the input. */
  outcome = run("height\n1\n2\n", true);
  PM_CHECK(outcome.kind == PM_UNAVAILABLE);
  PM_CHECK_TEXT(outcome.reason, "it answers 503");
  PM_CHECK(outcome.artifacts == 0);
  return pm_test_end();
}

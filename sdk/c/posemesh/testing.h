/* Tests of runners, without a component, a node or a network: the node is in memory.
 *
 *   pm_test_input inputs[] = {{.cid = "a.txt", .bytes = "one\ntwo\n"}};
 *   pm_outcome outcome = pm_test_run(&the_runner, &(pm_test){.inputs = inputs, .count = 1, .meta = "{\"column\": \"x\"}"});
 *   PM_CHECK_TEXT(outcome.reason, NULL);
 *   PM_CHECK_TEXT(pm_outcome_text(&outcome, "lines.json"), "{\"lines\": 2}\n");
 *   return pm_test_end();
 */
#ifndef POSEMESH_TESTING_H
#define POSEMESH_TESTING_H

#include "posemesh.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A part of an input. Several with the same `cid`, one after the other, are the parts of one input. */
typedef struct pm_test_input {
  const char *cid;
  const char *name; /* NULL: the CID */
  const void *bytes;
  size_t length; /* 0: up to the NUL */
  bool breaks;   /* Reading it ends before the last byte, with `error` */
  pm_error error;
} pm_test_input;

typedef struct pm_test {
  const pm_test_input *inputs;
  size_t count;
  const char *meta;       /* NULL: without parameters */
  const char *capability; /* NULL: the runner's first */
  double cancel_at;       /* Cancels the task once so much progress was told; 0: never */
} pm_test;

/* How a task ended, and what is left of it until the next one. */
typedef struct pm_outcome {
  pm_case kind;       /* Of a failure */
  const char *reason; /* NULL: the task is completed */
  size_t artifacts;
} pm_outcome;

pm_outcome pm_test_run(const pm_runner *runner, const pm_test *test);
/* The bytes of a stored artifact, with a NUL behind them; NULL if there is none. */
const char *pm_outcome_bytes(const pm_outcome *outcome, const char *path, size_t *length);
const char *pm_outcome_text(const pm_outcome *outcome, const char *path);

/* Checks, which go on after a failure. */
#define PM_CHECK(condition) pm_test_check((condition), #condition, __FILE__, __LINE__)
#define PM_CHECK_TEXT(got, wanted) pm_test_check_text((got), (wanted), #got, __FILE__, __LINE__)
void pm_test_check(bool holds, const char *what, const char *file, int line);
void pm_test_check_text(const char *got, const char *wanted, const char *what, const char *file, int line);
/* Says how many checks held. What `main` returns. */
int pm_test_end(void);

#ifdef __cplusplus
}
#endif
#endif

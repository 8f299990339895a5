#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define MAX_STORED 64

typedef struct stored {
  char *path;
  uint8_t *bytes;
  size_t length;
  bool is_finished;
} stored;

/* The node in memory: one task at a time. */
static struct {
  const pm_test *test;
  bool is_cancelled;
  /* Of each input as a handle, the next part; of each part as a handle, the place of the stream. */
  size_t *next;
  size_t *place;
  stored artifacts[MAX_STORED];
  size_t artifact_count;
  int checks;
  int failures;
} node;

static bool refuse(pm_error *error, pm_case kind, const char *what, const char *which) {
  size_t size = strlen(what) + strlen(which) + 2;
  char *reason = pm_alloc(size);
  snprintf(reason, size, "%s %s", what, which);
  *error = (pm_error){kind, reason};
  return false;
}

static const pm_test_input *input_of(pm_handle handle) {
  return &node.test->inputs[handle];
}

static size_t length_of(const pm_test_input *input) {
  return input->length > 0 || input->bytes == NULL ? input->length : strlen(input->bytes);
}

bool pm_host_open(const char *cid, pm_handle *input, pm_error *error) {
  for (size_t i = 0; i < node.test->count; i++) {
    if (strcmp(node.test->inputs[i].cid, cid) != 0) continue;
    *input = (pm_handle)i;
    node.next[i] = i;
    return true;
  }
  return refuse(error, PM_NOT_FOUND, "there is no input", cid);
}

bool pm_host_next_part(pm_handle input, bool *is_there, pm_handle *part, pm_part_info *info, pm_error *error) {
  (void)error;
  size_t next = node.next[input];
  *is_there = next < node.test->count && strcmp(node.test->inputs[next].cid, input_of(input)->cid) == 0;
  if (!*is_there) return true;
  node.next[input] = next + 1;
  node.place[next] = 0;
  *part = (pm_handle)next;
  const pm_test_input *found = input_of(*part);
  const char *name = found->name != NULL ? found->name : found->cid;
  const char *dot = strrchr(name, '.');
  *info = (pm_part_info){"", name, dot != NULL ? dot + 1 : "", "", length_of(found)};
  return true;
}

void pm_host_drop_input(pm_handle input) {
  (void)input;
}

bool pm_host_read_at(pm_handle part, uint64_t offset, uint32_t max, uint8_t **bytes, size_t *length, pm_error *error) {
  (void)error;
  size_t size = length_of(input_of(part));
  size_t left = offset < size ? size - (size_t)offset : 0;
  *length = left < max ? left : max;
  *bytes = pm_alloc(*length);
  if (*length > 0) memcpy(*bytes, (const uint8_t *)input_of(part)->bytes + offset, *length);
  return true;
}

bool pm_host_read(pm_handle part, uint32_t max, uint8_t **bytes, size_t *length, pm_error *error) {
  const pm_test_input *input = input_of(part);
  size_t size = length_of(input);
  size_t end = input->breaks && size > 0 ? size - 1 : size;
  size_t left = end - node.place[part];
  if (left == 0 && input->breaks) {
    const char *reason = input->error.reason != NULL ? input->error.reason : "the download broke off";
    *error = (pm_error){input->error.kind, pm_copy(reason)};
    return false;
  }
  pm_host_read_at(part, node.place[part], left < max ? (uint32_t)left : max, bytes, length, error);
  node.place[part] += *length;
  return true;
}

bool pm_host_materialise(pm_handle part, char **path, pm_error *error) {
  (void)path;
  return refuse(error, PM_PORT_FAILED, "a test has no files: stream the part", input_of(part)->cid);
}

void pm_host_drop_part(pm_handle part) {
  (void)part;
}

/* Whether a path is relative, with names between its slashes. */
static bool is_path(const char *path) {
  for (;;) {
    size_t length = strcspn(path, "/");
    bool is_dots = (length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.');
    if (length == 0 || is_dots) return false;
    if (path[length] == '\0') return true;
    path += length + 1;
  }
}

bool pm_host_create(const char *path, const pm_options *options, pm_handle *artifact, pm_error *error) {
  (void)options;
  if (!is_path(path)) return refuse(error, PM_INVALID_CALL, "an artifact can't have the path", path);
  if (node.artifact_count == MAX_STORED) return refuse(error, PM_LIMIT, "a test has no room for the artifact", path);
  *artifact = (pm_handle)node.artifact_count++;
  node.artifacts[*artifact] = (stored){.path = pm_copy(path), .bytes = pm_alloc(1)};
  return true;
}

bool pm_host_write(pm_handle artifact, const uint8_t *bytes, size_t length, pm_error *error) {
  (void)error;
  stored *to = &node.artifacts[artifact];
  to->bytes = pm_resize(to->bytes, to->length + length + 1);
  memcpy(to->bytes + to->length, bytes, length);
  to->length += length;
  return true;
}

bool pm_host_finish(pm_handle artifact, pm_error *error) {
  (void)error;
  stored *to = &node.artifacts[artifact];
  to->bytes[to->length] = '\0';
  to->is_finished = true;
  return true;
}

void pm_host_drop_artifact(pm_handle artifact) {
  (void)artifact;
}

void pm_host_progress(const char *json) {
  const char *problem;
  size_t at;
  const pm_json *progress = pm_json_field(pm_json_read(json, strlen(json), &problem, &at), "progress");
  bool is_far = progress != NULL && node.test->cancel_at > 0 && progress->number >= node.test->cancel_at;
  if (is_far) node.is_cancelled = true;
}

bool pm_host_event(const char *json) {
  const char *problem;
  size_t at;
  return pm_json_read(json, strlen(json), &problem, &at) != NULL;
}

void pm_host_log(pm_level level, const char *message) {
  static const char *const LEVELS[] = {"debug", "info", "warn", "error"};
  fprintf(stderr, "%s: %s\n", LEVELS[level], message);
}

bool pm_host_is_cancelled(void) {
  return node.is_cancelled;
}

/* Does not wait: a test of a runner that sleeps need not take as long. */
bool pm_host_wait_cancelled(uint64_t timeout_ms) {
  (void)timeout_ms;
  return node.is_cancelled;
}

pm_budget pm_host_budget(void) {
  return (pm_budget){1ull << 29, 1ull << 32, 1ull << 34, 600000};
}

pm_outcome pm_test_run(const pm_runner *runner, const pm_test *test) {
  static pm_task task;
  for (size_t i = 0; i < node.artifact_count; i++) {
    free(node.artifacts[i].path);
    free(node.artifacts[i].bytes);
  }
  free(node.next);
  free(node.place);
  free(task.error.reason);
  free(task.told_stage);
  free((void *)task.inputs);
  node.test = test;
  node.is_cancelled = false;
  node.artifact_count = 0;
  node.next = pm_alloc(test->count * sizeof *node.next);
  node.place = pm_alloc(test->count * sizeof *node.place);
  const char **cids = pm_alloc(test->count * sizeof *cids);
  size_t count = 0;
  for (size_t i = 0; i < test->count; i++) {
    const char *cid = test->inputs[i].cid;
    if (count == 0 || strcmp(cids[count - 1], cid) != 0) cids[count++] = cid;
  }
  task = (pm_task){
      .id = "00000000-0000-0000-0000-000000000000",
      .capability = test->capability != NULL ? test->capability : runner->capabilities[0],
      .capability_filters = "null",
      .inputs = cids,
      .input_count = count,
  };
  pm_outcome outcome = {0};
  if (!pm_run(runner, &task, test->meta != NULL ? test->meta : "null")) {
    outcome.kind = task.error.kind;
    outcome.reason = task.error.reason;
  }
  for (size_t i = 0; i < node.artifact_count; i++) outcome.artifacts += node.artifacts[i].is_finished;
  return outcome;
}

const char *pm_outcome_bytes(const pm_outcome *outcome, const char *path, size_t *length) {
  (void)outcome;
  for (size_t i = 0; i < node.artifact_count; i++) {
    const stored *found = &node.artifacts[i];
    if (!found->is_finished || strcmp(found->path, path) != 0) continue;
    *length = found->length;
    return (const char *)found->bytes;
  }
  *length = 0;
  return NULL;
}

const char *pm_outcome_text(const pm_outcome *outcome, const char *path) {
  size_t length;
  return pm_outcome_bytes(outcome, path, &length);
}

void pm_test_check(bool holds, const char *what, const char *file, int line) {
  node.checks++;
  if (holds) return;
  node.failures++;
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
}

void pm_test_check_text(const char *got, const char *wanted, const char *what, const char *file, int line) {
  bool is_same = got == NULL || wanted == NULL ? got == wanted : strcmp(got, wanted) == 0;
  node.checks++;
  if (is_same) return;
  node.failures++;
  fprintf(stderr, "%s:%d: %s is\n  %s\nand not\n  %s\n", file, line, what, got != NULL ? got : "(none)",
          wanted != NULL ? wanted : "(none)");
}

int pm_test_end(void) {
  printf("%d checks, %d failed\n", node.checks, node.failures);
  return node.failures == 0 ? 0 : 1;
}

/* A task: its errors, its parameters, and the line to whoever waits for it. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* Progress is told in steps of this size, and at each new stage. */
#define STEP 0.005
/* The longest reason and the longest line of the log, in bytes. */
#define MAX_TEXT 4096

/* How many bytes the character at `text` has; 0 if it is none. */
static size_t character(const unsigned char *text) {
  if (text[0] < 0x80) return 1;
  size_t length = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
  if (text[0] < 0xC2 || text[0] > 0xF4) return 0;
  for (size_t i = 1; i < length; i++) {
    if ((text[i] & 0xC0) != 0x80) return 0;
  }
  bool is_long = (text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xF0 && text[1] < 0x90);
  bool is_outside = (text[0] == 0xED && text[1] > 0x9F) || (text[0] == 0xF4 && text[1] > 0x8F);
  return is_long || is_outside ? 0 : length;
}

void pm_make_utf8(char *text) {
  while (*text != '\0') {
    size_t length = character((const unsigned char *)text);
    if (length == 0) *text = '?';
    text += length == 0 ? 1 : length;
  }
}

char *pm_format(const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (length < 0) return pm_copy(format);
  char *text = pm_alloc((size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, arguments);
  return text;
}

/* As `pm_format`, fit for people: short, and UTF-8. */
static char *message(const char *format, va_list arguments) {
  char *text = pm_format(format, arguments);
  if (strlen(text) > MAX_TEXT) strcpy(text + MAX_TEXT - 3, "...");
  pm_make_utf8(text);
  return text;
}

bool pm_pass_on(pm_task *task, pm_error error) {
  free(task->error.reason);
  task->error = error;
  return false;
}

bool pm_fail(pm_task *task, pm_case kind, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  /* Before the old one is freed: it may be quoted. */
  char *reason = message(format, arguments);
  va_end(arguments);
  return pm_pass_on(task, (pm_error){kind, reason});
}

bool pm_run(const pm_runner *runner, pm_task *task, const char *meta) {
  const char *problem;
  size_t at;
  task->told = -1;
  task->params = pm_json_read(meta, strlen(meta), &problem, &at);
  if (task->params == NULL) return pm_fail(task, PM_INVALID_TASK, "the task's meta: byte %zu: %s", at, problem);
  if (runner->run(task)) return true;
  if (task->error.reason != NULL) return false;
  return pm_fail(task, PM_FAILED, "the runner failed and did not say why: it returned false without an error");
}

static bool param(pm_task *task, const char *name, pm_json_kind kind, bool is_required, const pm_json **value) {
  static const char *const KINDS[] = {"null", "a truth value", "a number", "a text", "a list", "an object"};
  *value = pm_json_field(task->params, name);
  if (*value == NULL && is_required) return pm_fail(task, PM_INVALID_TASK, "the task's meta has no %s", name);
  if (*value != NULL && (*value)->kind != kind) {
    return pm_fail(task, PM_INVALID_TASK, "%s in the task's meta is %s; %s is expected", name, KINDS[(*value)->kind],
                   KINDS[kind]);
  }
  return true;
}

bool pm_text_param(pm_task *task, const char *name, const char **value) {
  const pm_json *found;
  if (!param(task, name, PM_JSON_TEXT, true, &found)) return false;
  *value = found->text;
  return true;
}

bool pm_text_param_or(pm_task *task, const char *name, const char *otherwise, const char **value) {
  const pm_json *found;
  if (!param(task, name, PM_JSON_TEXT, false, &found)) return false;
  *value = found == NULL ? otherwise : found->text;
  return true;
}

bool pm_number_param(pm_task *task, const char *name, double *value) {
  const pm_json *found;
  if (!param(task, name, PM_JSON_NUMBER, true, &found)) return false;
  *value = found->number;
  return true;
}

bool pm_number_param_or(pm_task *task, const char *name, double otherwise, double *value) {
  const pm_json *found;
  if (!param(task, name, PM_JSON_NUMBER, false, &found)) return false;
  *value = found == NULL ? otherwise : found->number;
  return true;
}

bool pm_check_cancelled(pm_task *task) {
  return !pm_host_is_cancelled() || pm_fail(task, PM_CANCELLED, "the task was cancelled");
}

bool pm_progress(pm_task *task, double fraction, const char *stage) {
  fraction = fraction >= 0 ? fmin(fraction, 1) : 0;
  bool is_new = task->told < 0 || task->told_stage == NULL || strcmp(task->told_stage, stage) != 0;
  bool is_last = fraction == 1 && task->told != 1;
  if (is_new || is_last || fabs(fraction - task->told) >= STEP) {
    if (is_new) {
      free(task->told_stage);
      task->told_stage = pm_copy(stage);
      pm_make_utf8(task->told_stage);
    }
    task->told = fraction;
    char *name = pm_json_quoted(task->told_stage);
    size_t size = strlen(name) + 64;
    char *json = pm_alloc(size);
    snprintf(json, size, "{\"progress\": %.6g, \"stage\": %s}", fraction, name);
    pm_host_progress(json);
    free(json);
    free(name);
  }
  return pm_check_cancelled(task);
}

bool pm_sleep(pm_task *task, double seconds) {
  uint64_t ms = seconds > 0 ? (uint64_t)(seconds * 1000) : 0;
  return !pm_host_wait_cancelled(ms) || pm_fail(task, PM_CANCELLED, "the task was cancelled");
}

bool pm_event(const char *json) {
  return pm_host_event(json);
}

void pm_log(pm_level level, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = message(format, arguments);
  va_end(arguments);
  pm_host_log(level, text);
  free(text);
}

pm_budget pm_get_budget(void) {
  return pm_host_budget();
}

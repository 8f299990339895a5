/* Summarises a column of numbers in a CSV file. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "posemesh/posemesh.h"

/* The next field of a line, without the spaces around it; NULL after the last. */
static char *next_field(char **rest) {
  char *field = *rest;
  if (field == NULL) return NULL;
  char *comma = strchr(field, ',');
  *rest = comma == NULL ? NULL : comma + 1;
  if (comma != NULL) *comma = '\0';
  field += strspn(field, " \t");
  for (char *end = field + strlen(field); end > field && strchr(" \t", end[-1]) != NULL; end--) end[-1] = '\0';
  return field;
}

static bool summarise(pm_task *task) {
  const char *name;
  pm_part *part;
  if (!pm_text_param(task, "column", &name) || !pm_only_part(task, &part)) return false;

  char *line;
  size_t length;
  if (!pm_line(part, &line, &length)) return false;
  char *header = line == NULL ? pm_copy("") : pm_copy(line);
  size_t column = 0;
  char *field = NULL;
  for (char *rest = line; (field = next_field(&rest)) != NULL; column++) {
    if (strcmp(field, name) == 0) break;
  }
  if (field == NULL) return pm_fail(task, PM_INVALID_INPUT, "line 1: there is no column %s, but %s", name, header);

  size_t rows = 0, number = 1;
  double least = INFINITY, greatest = -INFINITY, mean = 0;
  for (;;) {
    if (!pm_line(part, &line, &length)) return false;
    if (line == NULL) break;
    number++;
    char *rest = line;
    for (size_t i = 0; i <= column; i++) field = next_field(&rest);
    char *end = field;
    double value = field == NULL ? NAN : strtod(field, &end);
    if (field == NULL || end == field || *end != '\0' || !isfinite(value)) {
      return pm_fail(task, PM_INVALID_INPUT, "line %zu: %s in %s is no number", number, field == NULL ? "nothing" : field,
                     name);
    }
    rows++;
    least = fmin(least, value);
    greatest = fmax(greatest, value);
    mean += (value - mean) / (double)rows;
    /* False when the task is being stopped. */
    if (rows % 1000 == 0 && !pm_progress(task, pm_done(part), "reading")) return false;
  }
  if (rows == 0) return pm_fail(task, PM_INVALID_INPUT, "there is no line after the header");
  return pm_write_text(task, "summary.json", "{\n  \"rows\": %zu,\n  \"min\": %.15g,\n  \"max\": %.15g,\n  \"mean\": %.15g\n}\n",
                       rows, least, greatest, mean);
}

const pm_runner the_runner = {
    .name = "my-runner",
    .version = "0.1.0",
    .summary = "Summarises a column of numbers in a CSV file.",
    .capabilities = {"/example/my-runner/v1"},
    .memory_mib = 64,
    .run = summarise,
};

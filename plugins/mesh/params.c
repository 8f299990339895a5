/* The parameters of a task. */

#include <math.h>
#include <string.h>

#include "mesh.h"

/* A grid of more has no more than a cell for each corner. */
#define MOST_CELLS 2048

static bool only_known(pm_task *task) {
  if (task->params->kind == PM_JSON_NULL) return true;
  if (task->params->kind != PM_JSON_OBJECT) return pm_fail(task, PM_INVALID_TASK, "the task's meta is no JSON object");
  for (const pm_json *field = task->params->first; field != NULL; field = field->next) {
    bool is_known = strcmp(field->key, "scale") == 0 || strcmp(field->key, "cells") == 0 || strcmp(field->key, "origin") == 0;
    if (!is_known) {
      return pm_fail(task, PM_INVALID_TASK, "the task's meta has %.60s, which means nothing here; it can have scale, cells, origin",
                     field->key);
    }
  }
  return true;
}

bool read_params(pm_task *task, params *params) {
  double cells;
  if (!only_known(task) || !pm_number_param_or(task, "scale", 1, &params->scale) ||
      !pm_number_param_or(task, "cells", NAN, &cells) || !pm_text_param_or(task, "origin", "keep", &params->origin)) {
    return false;
  }
  if (!(params->scale >= 1e-12 && params->scale <= 1e12)) {
    return pm_fail(task, PM_INVALID_TASK, "scale is %.12g; it can be a number from 1e-12 to 1e12", params->scale);
  }
  /* JSON has no such number: none was given. */
  bool thins = !isnan(cells);
  if (thins && !(cells >= 2 && cells <= MOST_CELLS && cells == floor(cells))) {
    return pm_fail(task, PM_INVALID_TASK, "cells is %.12g; it can be a whole number from 2 to %d", cells, MOST_CELLS);
  }
  params->cells = thins ? (int)cells : 0;
  if (strcmp(params->origin, "keep") != 0 && strcmp(params->origin, "centre") != 0 && strcmp(params->origin, "floor") != 0) {
    return pm_fail(task, PM_INVALID_TASK, "origin is %.60s; it can be keep, centre or floor", params->origin);
  }
  return true;
}

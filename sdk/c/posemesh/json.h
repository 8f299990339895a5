/* Reads JSON: a task's parameters, or a small input. */
#ifndef POSEMESH_JSON_H
#define POSEMESH_JSON_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pm_json_kind {
  PM_JSON_NULL,
  PM_JSON_BOOL,
  PM_JSON_NUMBER,
  PM_JSON_TEXT,
  PM_JSON_LIST,
  PM_JSON_OBJECT,
} pm_json_kind;

/* A value. Those of a list or an object hang together: `for (v = list->first; v; v = v->next)`. */
typedef struct pm_json {
  pm_json_kind kind;
  bool truth;
  double number;
  const char *text; /* UTF-8, with a NUL behind it */
  size_t length;    /* Of `text`, in bytes */
  const char *key;  /* In an object */
  struct pm_json *first;
  struct pm_json *next;
} pm_json;

/* The value that a text stands for, or NULL with the problem and the byte where it is. */
const pm_json *pm_json_read(const char *text, size_t length, const char **problem, size_t *at);
/* A field of an object; NULL without it, or if this is no object. */
const pm_json *pm_json_field(const pm_json *object, const char *key);
/* A text as JSON has it, in quotation marks. The caller frees it. */
char *pm_json_quoted(const char *text);

#ifdef __cplusplus
}
#endif
#endif

/* Memory that is there, or the end of the runner. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posemesh.h"

void *pm_alloc(size_t size) {
  return pm_resize(NULL, size);
}

void *pm_resize(void *memory, size_t size) {
  void *there = realloc(memory, size > 0 ? size : 1);
  if (there == NULL) {
    fprintf(stderr, "out of memory: %zu bytes were asked for\n", size);
    abort();
  }
  return there;
}

char *pm_copy(const char *text) {
  size_t size = strlen(text) + 1;
  return memcpy(pm_alloc(size), text, size);
}

/* Bytes and lines of a part, which can be looked at before they are taken. */

#include <stdlib.h>
#include <string.h>

#include "mesh.h"

/* Bytes that are read at a time. */
#define CHUNK (256u << 10)
/* The longest line. A face of a mesh has not so many corners. */
#define MAX_LINE (1u << 20)

bool source_open(pm_task *task, source *source) {
  pm_part *part;
  if (!pm_only_part(task, &part)) return false;
  *source = (struct source){.task = task, .part = part, .name = pm_info(part)->name, .size = pm_info(part)->size};
  return true;
}

void source_close(source *source) {
  pm_close_part(source->part);
  free(source->bytes);
  source->bytes = NULL;
}

bool source_look(source *source, size_t wanted, size_t *there) {
  while (source->end - source->at < wanted) {
    if (source->at > 0) {
      memmove(source->bytes, source->bytes + source->at, source->end - source->at);
      source->end -= source->at;
      source->at = 0;
    }
    /* One more, for the NUL behind a line. */
    size_t needed = source->end + CHUNK + 1;
    if (source->room < needed) {
      source->room = needed > 2 * source->room ? needed : 2 * source->room;
      source->bytes = pm_resize(source->bytes, source->room);
    }
    size_t got;
    if (!pm_read(source->part, source->bytes + source->end, CHUNK, &got)) return false;
    if (got == 0) break;
    source->end += got;
  }
  *there = source->end - source->at;
  return true;
}

void source_take(source *source, size_t count) {
  source->at += count;
  source->taken += count;
}

bool source_line(source *source, char **line) {
  size_t known = 0;
  for (;;) {
    size_t there;
    if (!source_look(source, known + 1, &there)) return false;
    *line = (char *)source->bytes + source->at;
    if (there == 0) {
      *line = NULL;
      return true;
    }
    char *end = memchr(*line + known, '\n', there - known);
    bool is_last = end == NULL && there == known;
    if (end == NULL && !is_last) {
      known = there;
      if (known > MAX_LINE) {
        return pm_fail(source->task, PM_INVALID_INPUT, "line %llu of %s has more than %u KiB",
                       (unsigned long long)source->line + 1, source->name, MAX_LINE >> 10);
      }
      continue;
    }
    size_t length = is_last ? there : (size_t)(end - *line);
    source_take(source, is_last ? length : length + 1);
    source->line++;
    if (length > 0 && (*line)[length - 1] == '\r') length--;
    (*line)[length] = '\0';
    if (strlen(*line) != length) {
      return pm_fail(source->task, PM_INVALID_INPUT, "line %llu of %s has a NUL byte: it is no text",
                     (unsigned long long)source->line, source->name);
    }
    return true;
  }
}

double source_done(const source *source) {
  return source->size == 0 ? 1 : (double)source->taken / (double)source->size;
}

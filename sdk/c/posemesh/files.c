/* Inputs and artifacts as streams. */

#include <stdlib.h>
#include <string.h>

#include "host.h"

/* Bytes that are read or written in one call of the node. */
#define CHUNK (1u << 20)
#define MAX_LINE (16u << 20)
/* Of what is written to an artifact, at first. */
#define FIRST_ROOM (16u << 10)

struct pm_input {
  pm_task *task;
  pm_handle handle;
};

struct pm_part {
  pm_task *task;
  pm_handle handle;
  pm_part_info info;
  /* What was read from the node, and of that, what was given to the program. */
  uint8_t *chunk;
  size_t length;
  size_t at;
  /* Bytes that were given to the program. */
  uint64_t done;
  /* A line that is in several chunks. */
  char *line;
  size_t line_room;
};

struct pm_artifact {
  pm_task *task;
  pm_handle handle;
  /* What the node does not have yet. Grows as it fills, to CHUNK at most: most artifacts are small. */
  uint8_t *chunk;
  size_t length;
  size_t room;
};

bool pm_open(pm_task *task, const char *cid, pm_input **input) {
  pm_handle handle;
  pm_error error;
  if (!pm_host_open(cid, &handle, &error)) return pm_pass_on(task, error);
  *input = pm_alloc(sizeof **input);
  **input = (pm_input){task, handle};
  return true;
}

bool pm_next_part(pm_input *input, pm_part **part) {
  bool is_there;
  pm_handle handle;
  pm_part_info info;
  pm_error error;
  *part = NULL;
  if (!pm_host_next_part(input->handle, &is_there, &handle, &info, &error)) return pm_pass_on(input->task, error);
  if (!is_there) return true;
  *part = pm_alloc(sizeof **part);
  **part = (pm_part){.task = input->task, .handle = handle, .info = info};
  return true;
}

void pm_close_input(pm_input *input) {
  pm_host_drop_input(input->handle);
  free(input);
}

bool pm_only_part(pm_task *task, pm_part **part) {
  if (task->input_count != 1) {
    return pm_fail(task, PM_INVALID_TASK, "the task has %zu inputs; it takes one", task->input_count);
  }
  pm_input *input;
  if (!pm_open(task, task->inputs[0], &input)) return false;
  pm_part *second = NULL;
  bool ok = pm_next_part(input, part) && (*part == NULL || pm_next_part(input, &second));
  pm_close_input(input);
  if (!ok) return false;
  if (*part == NULL) return pm_fail(task, PM_INVALID_INPUT, "the input has no part");
  if (second != NULL) return pm_fail(task, PM_INVALID_INPUT, "the input has several parts; it takes one");
  return true;
}

void pm_close_part(pm_part *part) {
  pm_host_drop_part(part->handle);
  free(part->chunk);
  free(part->line);
  free(part);
}

const pm_part_info *pm_info(const pm_part *part) {
  return &part->info;
}

double pm_done(const pm_part *part) {
  return part->info.size == 0 ? 1 : (double)part->done / (double)part->info.size;
}

/* Reads the next chunk once the last is used up; none is left at the end of the part. */
static bool fill(pm_part *part) {
  if (part->at < part->length) return true;
  free(part->chunk);
  part->chunk = NULL;
  part->length = part->at = 0;
  pm_error error;
  return pm_host_read(part->handle, CHUNK, &part->chunk, &part->length, &error) || pm_pass_on(part->task, error);
}

static void used(pm_part *part, size_t length) {
  part->at += length;
  part->done += length;
}

bool pm_read(pm_part *part, void *to, size_t max, size_t *got) {
  *got = 0;
  if (max == 0) return true;
  if (!fill(part)) return false;
  size_t left = part->length - part->at;
  *got = left < max ? left : max;
  if (*got > 0) memcpy(to, part->chunk + part->at, *got);
  used(part, *got);
  return true;
}

bool pm_read_exactly(pm_part *part, void *to, size_t length) {
  for (size_t have = 0, got; have < length; have += got) {
    if (!pm_read(part, (uint8_t *)to + have, length - have, &got)) return false;
    if (got == 0) {
      return pm_fail(part->task, PM_INVALID_INPUT, "%s ends at byte %llu, in the middle of %zu bytes", part->info.name,
                     (unsigned long long)part->done, length);
    }
  }
  return true;
}

/* Makes room for so many more bytes of a line, and a NUL. */
static bool line_room(pm_part *part, size_t length, size_t more) {
  if (length + more > MAX_LINE) {
    return pm_fail(part->task, PM_INVALID_INPUT, "%s has a line of more than %u MiB before byte %llu", part->info.name,
                   MAX_LINE >> 20, (unsigned long long)part->done);
  }
  if (length + more >= part->line_room) {
    part->line_room = 2 * (length + more) + 1;
    part->line = pm_resize(part->line, part->line_room);
  }
  return true;
}

bool pm_line(pm_part *part, char **line, size_t *length) {
  *line = NULL;
  *length = 0;
  bool is_in_pieces = false;
  for (;;) {
    if (!fill(part)) return false;
    size_t left = part->length - part->at;
    char *from = (char *)part->chunk + part->at;
    char *end = left > 0 ? memchr(from, '\n', left) : NULL;
    size_t here = end != NULL ? (size_t)(end - from) : left;
    if (end != NULL && !is_in_pieces) {
      *line = from;
      *length = here;
    } else if (left > 0) {
      if (!line_room(part, *length, here)) return false;
      memcpy(part->line + *length, from, here);
      *length += here;
      is_in_pieces = true;
      *line = part->line;
    }
    used(part, end != NULL ? here + 1 : here);
    if (end != NULL || left == 0) break;
  }
  if (*line == NULL) return true;
  if (*length > 0 && (*line)[*length - 1] == '\r') *length -= 1;
  /* Over the end of the line, or into the room for it. */
  (*line)[*length] = '\0';
  return true;
}

bool pm_read_all(pm_part *part, size_t max, uint8_t **bytes, size_t *length) {
  uint64_t left = part->info.size > part->done ? part->info.size - part->done : 0;
  if (left > max) {
    return pm_fail(part->task, PM_INVALID_INPUT, "%s has %llu bytes; at most %zu are read", part->info.name,
                   (unsigned long long)part->info.size, max);
  }
  *bytes = pm_alloc((size_t)left + 1);
  *length = 0;
  for (;;) {
    size_t got;
    if (!pm_read(part, *bytes + *length, (size_t)left - *length, &got)) break;
    *length += got;
    if (got > 0) continue;
    (*bytes)[*length] = '\0';
    return true;
  }
  free(*bytes);
  *bytes = NULL;
  return false;
}

bool pm_read_at(pm_part *part, uint64_t offset, void *to, size_t max, size_t *got) {
  uint8_t *bytes = NULL;
  pm_error error;
  *got = 0;
  uint32_t wanted = max < CHUNK ? (uint32_t)max : CHUNK;
  if (wanted == 0) return true;
  if (!pm_host_read_at(part->handle, offset, wanted, &bytes, got, &error)) return pm_pass_on(part->task, error);
  if (*got > 0) memcpy(to, bytes, *got);
  free(bytes);
  return true;
}

bool pm_materialise(pm_part *part, const char **path) {
  char *made;
  pm_error error;
  if (!pm_host_materialise(part->handle, &made, &error)) return pm_pass_on(part->task, error);
  *path = made;
  return true;
}

bool pm_create(pm_task *task, const char *path, const pm_options *options, pm_artifact **artifact) {
  static const pm_options NONE;
  pm_handle handle;
  pm_error error;
  if (!pm_host_create(path, options == NULL ? &NONE : options, &handle, &error)) return pm_pass_on(task, error);
  *artifact = pm_alloc(sizeof **artifact);
  **artifact = (pm_artifact){.task = task, .handle = handle};
  return true;
}

static bool flush(pm_artifact *artifact) {
  pm_error error;
  size_t length = artifact->length;
  artifact->length = 0;
  return length == 0 || pm_host_write(artifact->handle, artifact->chunk, length, &error) ||
         pm_pass_on(artifact->task, error);
}

bool pm_write(pm_artifact *artifact, const void *bytes, size_t length) {
  const uint8_t *from = bytes;
  while (length > 0) {
    if (artifact->length == artifact->room) {
      size_t wanted = artifact->room == 0 ? FIRST_ROOM : 2 * artifact->room;
      artifact->room = wanted < CHUNK ? wanted : CHUNK;
      artifact->chunk = pm_resize(artifact->chunk, artifact->room);
    }
    size_t room = artifact->room - artifact->length;
    size_t now = length < room ? length : room;
    memcpy(artifact->chunk + artifact->length, from, now);
    artifact->length += now;
    from += now;
    length -= now;
    if (artifact->length == CHUNK && !flush(artifact)) return false;
  }
  return true;
}

bool pm_print(pm_artifact *artifact, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = pm_format(format, arguments);
  va_end(arguments);
  bool ok = pm_write(artifact, text, strlen(text));
  free(text);
  return ok;
}

bool pm_finish(pm_artifact *artifact) {
  pm_task *task = artifact->task;
  pm_error error;
  bool ok = flush(artifact) && (pm_host_finish(artifact->handle, &error) || pm_pass_on(task, error));
  pm_abort(artifact);
  return ok;
}

void pm_abort(pm_artifact *artifact) {
  pm_host_drop_artifact(artifact->handle);
  free(artifact->chunk);
  free(artifact);
}

bool pm_write_text(pm_task *task, const char *path, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = pm_format(format, arguments);
  va_end(arguments);
  pm_options options = {.size_hint = strlen(text)};
  pm_artifact *artifact;
  bool ok = pm_create(task, path, &options, &artifact);
  if (ok && !pm_write(artifact, text, strlen(text))) {
    pm_abort(artifact);
    ok = false;
  }
  ok = ok && pm_finish(artifact);
  free(text);
  return ok;
}

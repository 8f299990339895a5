/* Reads STL, binary and as text, and finds out which format a file has. */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mesh.h"

#define HEADER 84
#define RECORD 50
/* Triangles between two reports of progress, which also ask whether to stop. */
#define STEP 4096
/* Lines of text that are looked at to find out the format. */
#define SHOWN 512

static uint32_t little_endian(const uint8_t *bytes) {
  return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* What stands behind a word at the beginning of a text, whatever its case; NULL if it is another word. */
static const char *behind(const char *text, const char *word) {
  size_t length = strlen(word);
  if (strncasecmp(text, word, length) != 0) return NULL;
  return memchr(" \t\r\n", text[length], 5) != NULL ? text + length : NULL;
}

/* Whether a line of a text begins with one of these words of OBJ. The text ends with a zero. */
static bool is_obj(const char *text) {
  static const char *const words[] = {"v", "vt", "vn", "f", "g", "o", "s", "mtllib", "usemtl", NULL};
  for (const char *line = text; line != NULL; line = strchr(line, '\n'), line = line == NULL ? NULL : line + 1) {
    line += strspn(line, " \t");
    for (const char *const *word = words; *word != NULL; word++) {
      if (behind(line, *word) != NULL) return true;
    }
  }
  return text[0] == '#';
}

const char *format_of(source *source) {
  size_t there;
  if (!source_look(source, SHOWN, &there)) return NULL;
  if (there == 0) {
    pm_fail(source->task, PM_INVALID_INPUT, "%s is empty", source->name);
    return NULL;
  }
  const uint8_t *bytes = source->bytes + source->at;
  if (there > SHOWN) there = SHOWN;
  char text[SHOWN + 1];
  memcpy(text, bytes, there);
  text[there] = '\0';
  /* Some programs begin a text with the mark of its encoding. */
  bool has_mark = there >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0;
  const char *begin = text + (has_mark ? 3 : 0);
  begin += strspn(begin, " \t\r\n");
  /* Binary files may begin with `solid` too: the size decides. */
  if (there >= HEADER && source->size == HEADER + RECORD * (uint64_t)little_endian(bytes + 80)) return "stl-binary";
  bool is_text = memchr(bytes, '\0', there) == NULL;
  if (is_text && has_mark) source_take(source, 3);
  if (is_text && behind(begin, "solid") != NULL) return "stl-text";
  if (is_text && is_obj(begin)) return "obj";
  if (!is_text && there >= HEADER) return "stl-binary";
  pm_fail(source->task, PM_INVALID_INPUT, "%s begins neither as STL nor as OBJ", source->name);
  return NULL;
}

bool read_mesh(source *source, double scale, visit visit, void *context, double from, double to) {
  const char *format = format_of(source);
  if (format == NULL) return false;
  reading reading = {.source = source, .scale = scale, .visit = visit, .context = context, .from = from, .to = to};
  bool ok = strcmp(format, "obj") == 0          ? read_obj(&reading)
            : strcmp(format, "stl-text") == 0 ? read_ascii_stl(&reading)
                                                : read_binary_stl(&reading);
  if (!ok) return false;
  if (reading.triangles == 0) return pm_fail(source->task, PM_INVALID_INPUT, "%s has no triangles", source->name);
  return pm_progress(source->task, to, "reading");
}

bool found_triangle(reading *reading, const triangle *triangle) {
  reading->triangles++;
  if (reading->triangles % STEP == 0) {
    double done = reading->from + (reading->to - reading->from) * source_done(reading->source);
    if (!pm_progress(reading->source->task, done, "reading")) return false;
  }
  return reading->visit(reading->context, triangle);
}

bool scaled_point(reading *reading, const double from[3], const char *what, uint64_t number, point *to) {
  double scaled[3];
  for (int axis = 0; axis < 3; axis++) {
    scaled[axis] = from[axis] * reading->scale;
    /* What is written has to be a float again. */
    if (!isfinite(scaled[axis]) || fabs(scaled[axis]) > 1e30) {
      return pm_fail(reading->source->task, PM_INVALID_INPUT, "%s %llu of %s: the coordinate %g is out of range", what,
                     (unsigned long long)number, reading->source->name, from[axis]);
    }
  }
  /* Without a negative zero, which would be another corner than zero. */
  *to = (point){(float)scaled[0] + 0.0f, (float)scaled[1] + 0.0f, (float)scaled[2] + 0.0f};
  return true;
}

bool read_binary_stl(reading *reading) {
  source *source = reading->source;
  size_t there;
  if (!source_look(source, HEADER, &there)) return false;
  uint64_t count = little_endian(source->bytes + source->at + 80);
  uint64_t needed = HEADER + RECORD * count;
  if (source->size < needed) {
    return pm_fail(source->task, PM_INVALID_INPUT, "%s announces %llu triangles, which take %llu bytes, and has %llu: it is cut off, or no STL",
                   source->name, (unsigned long long)count, (unsigned long long)needed, (unsigned long long)source->size);
  }
  if (source->size > needed) pm_log(PM_WARN, "%llu bytes behind the triangles are not read", (unsigned long long)(source->size - needed));
  source_take(source, HEADER);
  for (uint64_t number = 1; number <= count; number++) {
    if (!source_look(source, RECORD, &there)) return false;
    if (there < RECORD) {
      return pm_fail(source->task, PM_INVALID_INPUT, "%s ends in triangle %llu of %llu", source->name,
                     (unsigned long long)number, (unsigned long long)count);
    }
    const uint8_t *record = source->bytes + source->at;
    triangle triangle;
    for (int corner = 0; corner < 3; corner++) {
      double found[3];
      for (int axis = 0; axis < 3; axis++) {
        /* Behind the normal, which follows from the corners. */
        uint32_t bits = little_endian(record + 12 + 12 * corner + 4 * axis);
        float value;
        memcpy(&value, &bits, sizeof value);
        found[axis] = value;
      }
      if (!scaled_point(reading, found, "triangle", number, &triangle.corner[corner])) return false;
    }
    source_take(source, RECORD);
    if (!found_triangle(reading, &triangle)) return false;
  }
  return true;
}

bool three_numbers(const char *text, double found[3], const char **rest) {
  for (int i = 0; i < 3; i++) {
    char *end;
    found[i] = strtod(text, &end);
    if (end == text || (*end != '\0' && *end != ' ' && *end != '\t')) return false;
    text = end;
  }
  *rest = text;
  return true;
}

bool read_ascii_stl(reading *reading) {
  source *source = reading->source;
  triangle triangle;
  int corners = -1; /* Of the open facet; -1 without one */
  bool is_ended = false;
  for (;;) {
    char *line;
    if (!source_line(source, &line)) return false;
    if (line == NULL) break;
    unsigned long long number = source->line;
    const char *text = line + strspn(line, " \t"), *rest;
    if ((rest = behind(text, "vertex")) != NULL) {
      double found[3];
      if (corners < 0 || corners > 2) {
        return pm_fail(source->task, PM_INVALID_INPUT, "line %llu of %s: a vertex %s", number, source->name,
                       corners < 0 ? "outside of a facet" : "more than the three of a facet");
      }
      if (!three_numbers(rest, found, &rest) || rest[strspn(rest, " \t")] != '\0') {
        return pm_fail(source->task, PM_INVALID_INPUT, "line %llu of %s: %.60s is not a vertex of three numbers", number,
                       source->name, text);
      }
      if (!scaled_point(reading, found, "line", number, &triangle.corner[corners])) return false;
      corners++;
    } else if (behind(text, "facet") != NULL) {
      if (corners >= 0) return pm_fail(source->task, PM_INVALID_INPUT, "line %llu of %s: a facet in a facet", number, source->name);
      corners = 0;
      is_ended = false;
    } else if (behind(text, "endfacet") != NULL) {
      if (corners != 3) {
        return pm_fail(source->task, PM_INVALID_INPUT, "line %llu of %s: the facet that ends here has %d vertices", number,
                       source->name, corners < 0 ? 0 : corners);
      }
      corners = -1;
      if (!found_triangle(reading, &triangle)) return false;
    } else if (behind(text, "endsolid") != NULL) {
      is_ended = corners < 0;
    } else if (*text != '\0' && behind(text, "solid") == NULL && behind(text, "outer") == NULL && behind(text, "endloop") == NULL) {
      return pm_fail(source->task, PM_INVALID_INPUT, "line %llu of %s: %.60s means nothing in STL", number, source->name, text);
    }
  }
  return is_ended || pm_fail(source->task, PM_INVALID_INPUT, "%s ends in line %llu without `endsolid`: it is cut off", source->name,
                             (unsigned long long)source->line);
}

/* Reads the triangles of OBJ: vertices and faces; what is for looks is left out. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mesh.h"

/* Vertices have to be held, since faces name them by number. */
#define MAX_VERTICES (4u << 20)

typedef struct vertices {
  point *points;
  size_t count, room;
} vertices;

static bool add_vertex(reading *reading, vertices *vertices, const char *text) {
  source *source = reading->source;
  unsigned long long line = source->line;
  double found[3];
  const char *rest;
  if (!three_numbers(text, found, &rest)) {
    return pm_fail(source->task, PM_INVALID_INPUT, "line %llu of %s: v%.60s is not a vertex of three numbers", line, source->name, text);
  }
  if (vertices->count == MAX_VERTICES) {
    return pm_fail(source->task, PM_INVALID_INPUT, "line %llu of %s: more than %u vertices of OBJ are not held; STL has no such bound",
                   line, source->name, MAX_VERTICES);
  }
  if (vertices->count == vertices->room) {
    vertices->room = vertices->room == 0 ? 4096 : 2 * vertices->room;
    vertices->points = pm_resize(vertices->points, vertices->room * sizeof *vertices->points);
  }
  return scaled_point(reading, found, "line", line, &vertices->points[vertices->count++]);
}

/* The next corner of a face: `7`, `7/1/3` or `-1`. False if there is none; `is_wrong` says whether something else is there. */
static bool next_corner(const char **text, const vertices *vertices, size_t *index, bool *is_wrong) {
  const char *from = *text + strspn(*text, " \t");
  *is_wrong = false;
  if (*from == '\0' || *from == '#') return false;
  char *end;
  errno = 0;
  long long number = strtoll(from, &end, 10);
  *is_wrong = end == from || errno != 0 || strchr("/ \t", *end) == NULL;
  *text = end + strcspn(end, " \t");
  long long count = (long long)vertices->count;
  /* From 1 on, or back from the last vertex so far. */
  if (number < 0 && number >= -count) number += count + 1;
  *is_wrong |= number < 1 || number > count;
  *index = *is_wrong ? 0 : (size_t)number - 1;
  return !*is_wrong;
}

static bool add_face(reading *reading, const vertices *vertices, const char *text) {
  source *source = reading->source;
  unsigned long long line = source->line;
  const char *all = text;
  size_t corners = 0, index;
  bool is_wrong;
  triangle triangle;
  while (next_corner(&text, vertices, &index, &is_wrong)) {
    /* A fan around the first corner. */
    if (corners >= 3) triangle.corner[1] = triangle.corner[2];
    triangle.corner[corners < 2 ? corners : 2] = vertices->points[index];
    corners++;
    if (corners >= 3 && !found_triangle(reading, &triangle)) return false;
  }
  if (is_wrong) {
    return pm_fail(source->task, PM_INVALID_INPUT, "line %llu of %s: corner %zu of the face f%.60s is none of the %zu vertices before it",
                   line, source->name, corners + 1, all, vertices->count);
  }
  return corners >= 3 ||
         pm_fail(source->task, PM_INVALID_INPUT, "line %llu of %s: a face of %zu corners", line, source->name, corners);
}

bool read_obj(reading *reading) {
  source *source = reading->source;
  vertices vertices = {NULL, 0, 0};
  bool ok = true;
  while (ok) {
    char *line;
    ok = source_line(source, &line);
    if (!ok || line == NULL) break;
    const char *text = line + strspn(line, " \t");
    size_t length = strlen(text);
    if (length > 0 && text[0] != '#' && text[length - 1] == '\\') {
      ok = pm_fail(source->task, PM_INVALID_INPUT, "line %llu of %s goes on in the next line, which is not read",
                   (unsigned long long)source->line, source->name);
    } else if (text[0] == 'v' && (text[1] == ' ' || text[1] == '\t')) {
      ok = add_vertex(reading, &vertices, text + 1);
      /* A file may be of vertices alone for long. */
      if (ok && vertices.count % 4096 == 0) {
        ok = pm_progress(source->task, reading->from + (reading->to - reading->from) * source_done(source), "reading");
      }
    } else if (text[0] == 'f' && (text[1] == ' ' || text[1] == '\t')) {
      ok = add_face(reading, &vertices, text + 1);
    }
  }
  free(vertices.points);
  return ok;
}

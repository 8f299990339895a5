/* Measures a mesh, thins it and puts it in place. */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mesh.h"

#define HEADER 84
#define RECORD 50
#define STEP 4096

/* A mesh that is being written as binary STL. */
typedef struct writing {
  pm_task *task;
  pm_artifact *artifact;
  double shift[3];
  uint32_t written, announced;
  measures measures; /* Of what is written */
} writing;

static void put32(uint8_t *to, uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> 8 * i);
}

static void put_float(uint8_t *to, double value) {
  /* Without a negative zero: other machines would write others. */
  float number = (float)value + 0.0f;
  uint32_t bits;
  memcpy(&bits, &number, sizeof bits);
  put32(to, bits);
}

static bool begin(writing *writing) {
  uint8_t header[HEADER] = "mesh of posemesh";
  put32(header + 80, writing->announced);
  pm_options options = {.size_hint = HEADER + RECORD * (uint64_t)writing->announced};
  if (!pm_create(writing->task, "mesh.stl", &options, &writing->artifact)) return false;
  if (pm_write(writing->artifact, header, sizeof header)) return true;
  pm_abort(writing->artifact);
  return false;
}

/* Writes a triangle; one without an area is left out. */
static bool put_triangle(void *context, const triangle *given) {
  writing *writing = context;
  if (is_degenerate(given)) return true;
  if (writing->written == writing->announced) {
    return pm_fail(writing->task, PM_FAILED, "the input has changed while it was read: there are more triangles than before");
  }
  triangle moved = *given;
  for (int i = 0; i < 3; i++) {
    point *corner = &moved.corner[i];
    *corner = (point){(float)(corner->x + writing->shift[0]), (float)(corner->y + writing->shift[1]),
                      (float)(corner->z + writing->shift[2])};
  }
  uint8_t record[RECORD] = {0};
  double normal[3];
  normal_of(given, normal);
  double length = sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]);
  for (int axis = 0; axis < 3; axis++) put_float(record + 4 * axis, normal[axis] / length);
  for (int i = 0; i < 3; i++) {
    put_float(record + 12 + 12 * i, moved.corner[i].x);
    put_float(record + 16 + 12 * i, moved.corner[i].y);
    put_float(record + 20 + 12 * i, moved.corner[i].z);
  }
  writing->written++;
  return measure(&writing->measures, &moved) && pm_write(writing->artifact, record, sizeof record);
}

/* From where the mesh is to where it is to be. */
static void find_shift(const measures *measures, const char *origin, double shift[3]) {
  if (strcmp(origin, "keep") == 0) return;
  for (int axis = 0; axis < 3; axis++) shift[axis] = -(measures->least[axis] + measures->greatest[axis]) / 2;
  if (strcmp(origin, "floor") == 0) shift[2] = -measures->least[2];
}

static bool finish(writing *writing) {
  if (writing->written != writing->announced) {
    pm_abort(writing->artifact);
    return pm_fail(writing->task, PM_FAILED, "the input has changed while it was read: there are fewer triangles than before");
  }
  return pm_finish(writing->artifact);
}

/* Every triangle, as it comes from the input. */
static bool write_all(writing *writing, const measures *measures, source *source, double scale) {
  writing->announced = (uint32_t)(measures->triangles - measures->degenerate);
  if (!begin(writing)) return false;
  if (!read_mesh(source, scale, put_triangle, writing, 0.5, 0.99)) {
    pm_abort(writing->artifact);
    return false;
  }
  return finish(writing);
}

/* What is left on a grid. */
static bool write_thinned(writing *writing, const measures *measures, source *source, const params *params) {
  clusters *clusters = clusters_new(writing->task, measures, params->cells);
  if (!read_mesh(source, params->scale, cluster, clusters, 0.5, 0.9)) return false;
  triangle triangle;
  for (uint32_t i = 0; i < clusters_count(clusters); i++) {
    writing->announced += clusters_triangle(clusters, i, &triangle);
  }
  if (writing->announced == 0) {
    return pm_fail(writing->task, PM_INVALID_TASK, "no triangle is left with %d cells: the task has to ask for more", params->cells);
  }
  if (!begin(writing)) return false;
  for (uint32_t i = 0; i < clusters_count(clusters); i++) {
    uint32_t times = clusters_triangle(clusters, i, &triangle);
    bool goes_on = i % STEP != 0 || pm_progress(writing->task, 0.9 + 0.09 * i / clusters_count(clusters), "writing");
    while (goes_on && times-- > 0) goes_on = put_triangle(writing, &triangle);
    if (!goes_on) {
      pm_abort(writing->artifact);
      return false;
    }
  }
  return finish(writing);
}

static bool print_numbers(pm_artifact *file, const char *name, const double numbers[3]) {
  return pm_print(file, "    \"%s\": [%.9g, %.9g, %.9g],\n", name, numbers[0] + 0.0, numbers[1] + 0.0, numbers[2] + 0.0);
}

/* The measures of a mesh as a member of a JSON object. */
static bool print_measures(pm_artifact *file, const char *name, const measures *measures, const char *end) {
  double size[3], centre[3];
  bool is_closed = measures->undirected == 0, is_oriented = measures->directed == 0;
  double area = total(&measures->area), volume = total(&measures->volume);
  bool has_volume = is_closed && is_oriented && volume != 0;
  for (int axis = 0; axis < 3; axis++) {
    size[axis] = measures->greatest[axis] - measures->least[axis];
    centre[axis] = measures->first[axis];
    if (has_volume) {
      centre[axis] += total(&measures->volume_centre[axis]) / volume;
    } else if (area > 0) {
      centre[axis] += total(&measures->surface_centre[axis]) / area;
    }
  }
  if (!pm_print(file, "  \"%s\": {\n    \"triangles\": %llu,\n    \"degenerate\": %llu,\n", name,
                (unsigned long long)measures->triangles, (unsigned long long)measures->degenerate) ||
      !print_numbers(file, "min", measures->least) || !print_numbers(file, "max", measures->greatest) ||
      !print_numbers(file, "size", size) || !print_numbers(file, "centre_of_mass", centre)) {
    return false;
  }
  if (!pm_print(file, "    \"area\": %.9g,\n    \"is_closed\": %s,\n    \"is_oriented\": %s,\n", area, is_closed ? "true" : "false",
                is_oriented ? "true" : "false")) {
    return false;
  }
  /* Of a surface that encloses nothing there is none. */
  if (has_volume) return pm_print(file, "    \"volume\": %.9g\n  }%s\n", volume, end);
  return pm_print(file, "    \"volume\": null\n  }%s\n", end);
}

static bool write_measures(pm_task *task, const char *format, const measures *before, const measures *after) {
  pm_artifact *file;
  if (!pm_create(task, "measures.json", NULL, &file)) return false;
  if (!pm_print(file, "{\n  \"format\": \"%s\",\n", format) || !print_measures(file, "input", before, ",") ||
      !print_measures(file, "mesh", after, "") || !pm_print(file, "}\n")) {
    pm_abort(file);
    return false;
  }
  return pm_finish(file);
}

static bool run(pm_task *task) {
  params params;
  source source;
  if (!read_params(task, &params) || !source_open(task, &source)) return false;
  const char *format = format_of(&source);
  static measures before;
  static writing writing;
  before = (measures){0};
  writing = (struct writing){.task = task};
  if (format == NULL || !read_mesh(&source, params.scale, measure, &before, 0, 0.5)) return false;
  source_close(&source);
  if (before.triangles > UINT32_MAX) return pm_fail(task, PM_INVALID_INPUT, "STL can't hold so many triangles");
  if (before.triangles == before.degenerate) {
    return pm_fail(task, PM_INVALID_INPUT, "none of the %llu triangles has an area", (unsigned long long)before.triangles);
  }
  find_shift(&before, params.origin, writing.shift);
  /* Once more: the head of STL has the number of triangles, and a grid needs to know its place. */
  if (!source_open(task, &source)) return false;
  bool ok = params.cells == 0 ? write_all(&writing, &before, &source, params.scale)
                              : write_thinned(&writing, &before, &source, &params);
  if (!ok) return false;
  source_close(&source);
  return write_measures(task, format, &before, &writing.measures) && pm_progress(task, 1, "writing");
}

const pm_runner the_runner = {
    .name = "mesh",
    .version = "0.1.0",
    .summary = "Measures a mesh, thins it and puts it in place.",
    .capabilities = {"/posemesh/mesh/v1"},
    .memory_mib = 384,
    .meta_schema = PARAMS_SCHEMA,
    .license = "MIT OR Apache-2.0",
    .run = run,
};

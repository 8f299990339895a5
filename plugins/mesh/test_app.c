/* Natively, without a component or a node: `make test`. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mesh.h"
#include "posemesh/testing.h"

/* A cube of the side 2 from (1, 1, 1) on, whose faces look outwards. */
static const char CUBE[] =
    "# a cube\n"
    "v 1 1 1\nv 3 1 1\nv 3 3 1\nv 1 3 1\n"
    "v 1 1 3 1.0\nv 3 1 3\nv 3 3 3\nv 1 3 3\n"
    "vn 0 0 1\nusemtl grey\n"
    "f 4 3 2 1\nf 5/1 6/2 7/3 8/4\nf 1//1 2//1 6//1 5//1\nf -6 -5 -1 -2\nf 2 3 7 6\nf 1 5 8 4 # the last\n";

static pm_test_input input;
static pm_test given;

static pm_outcome run_bytes(const void *bytes, size_t length, const char *meta) {
  input = (pm_test_input){.cid = "mesh", .bytes = bytes, .length = length};
  given = (pm_test){.inputs = &input, .count = 1, .meta = meta};
  return pm_test_run(&the_runner, &given);
}

static pm_outcome run_text(const char *text, const char *meta) {
  return run_bytes(text, strlen(text), meta);
}

static bool contains(const char *text, const char *part) {
  bool is_there = text != NULL && strstr(text, part) != NULL;
  if (!is_there) printf("there is no %s in %s\n", part, text == NULL ? "nothing" : text);
  return is_there;
}

static bool fails(pm_outcome outcome, pm_case kind, const char *part) {
  return outcome.kind == kind && outcome.artifacts == 0 && contains(outcome.reason, part);
}

static const char *measures_of(const pm_outcome *outcome) {
  return pm_outcome_text(outcome, "measures.json");
}

/* Binary STL of so many triangles of a fan, as a file that announces others. */
static uint8_t *stl(uint32_t count, uint32_t announced, size_t *length) {
  *length = 84 + 50 * (size_t)count;
  uint8_t *bytes = calloc(1, *length + 1);
  memcpy(bytes, "solid by an exporter that does not care", 39);
  for (int i = 0; i < 4; i++) bytes[80 + i] = (uint8_t)(announced >> 8 * i);
  for (uint32_t i = 0; i < count; i++) {
    float corners[9] = {0, 0, 0, cosf(i / 100.0f), sinf(i / 100.0f), 0, cosf((i + 1) / 100.0f), sinf((i + 1) / 100.0f), 0};
    memcpy(bytes + 84 + 50 * (size_t)i + 12, corners, sizeof corners);
  }
  return bytes;
}

static void a_closed_mesh_has_a_volume(void) {
  pm_outcome outcome = run_text(CUBE, NULL);
  PM_CHECK_TEXT(outcome.reason, NULL);
  const char *told = measures_of(&outcome);
  PM_CHECK(contains(told, "\"format\": \"obj\""));
  PM_CHECK(contains(told, "\"triangles\": 12,\n    \"degenerate\": 0,\n    \"min\": [1, 1, 1],\n    \"max\": [3, 3, 3]"));
  PM_CHECK(contains(told, "\"centre_of_mass\": [2, 2, 2],\n    \"area\": 24,\n    \"is_closed\": true,\n    \"is_oriented\": true,\n    \"volume\": 8"));
  size_t length;
  PM_CHECK(pm_outcome_bytes(&outcome, "mesh.stl", &length) != NULL && length == 84 + 50 * 12);
}

static void what_is_written_can_be_read_and_is_the_same(void) {
  pm_outcome outcome = run_text(CUBE, "{\"scale\": 0.5, \"origin\": \"floor\"}");
  size_t length, again_length;
  const char *bytes = pm_outcome_bytes(&outcome, "mesh.stl", &length);
  char *kept = memcpy(malloc(length), bytes, length);
  pm_outcome again = run_bytes(kept, length, NULL);
  PM_CHECK_TEXT(again.reason, NULL);
  PM_CHECK(contains(measures_of(&again), "\"format\": \"stl-binary\""));
  PM_CHECK(contains(measures_of(&again), "\"min\": [-0.5, -0.5, 0],\n    \"max\": [0.5, 0.5, 1]"));
  bytes = pm_outcome_bytes(&again, "mesh.stl", &again_length);
  PM_CHECK(again_length == length && memcmp(bytes, kept, length) == 0);
  free(kept);
}

static void a_hole_and_a_turned_face_are_noticed(void) {
  char *open = pm_copy(CUBE);
  *strstr(open, "f 2 3 7 6") = '#';
  pm_outcome outcome = run_text(open, NULL);
  PM_CHECK(contains(measures_of(&outcome), "\"is_closed\": false,\n    \"is_oriented\": false,\n    \"volume\": null"));
  free(open);
  char *turned = pm_copy(CUBE);
  memcpy(strstr(turned, "f 2 3 7 6"), "f 6 7 3 2", 9);
  outcome = run_text(turned, NULL);
  PM_CHECK(contains(measures_of(&outcome), "\"is_closed\": true,\n    \"is_oriented\": false,\n    \"volume\": null"));
  free(turned);
}

static void a_grid_leaves_less_and_what_is_closed_closed(void) {
  /* A cube of many faces. */
  char *text = malloc(1 << 20), *end = text;
  for (int side = 0; side < 6; side++) {
    for (int i = 0; i < 20; i++) {
      for (int j = 0; j < 20; j++) {
        for (int corner = 0; corner < 4; corner++) {
          double u = (i + (corner == 1 || corner == 2)) / 20.0, v = (j + (corner >= 2)) / 20.0, w = side % 2;
          double place[3];
          place[side / 2] = w;
          place[(side / 2 + 1) % 3] = side % 2 ? u : v;
          place[(side / 2 + 2) % 3] = side % 2 ? v : u;
          end += sprintf(end, "v %.3f %.3f %.3f\n", place[0], place[1], place[2]);
        }
        end += sprintf(end, "f -4 -3 -2 -1\n");
      }
    }
  }
  pm_outcome outcome = run_text(text, "{\"cells\": 5}");
  PM_CHECK_TEXT(outcome.reason, NULL);
  const char *told = measures_of(&outcome);
  PM_CHECK(contains(told, "\"input\": {\n    \"triangles\": 4800"));
  const char *mesh = strstr(told, "\"mesh\"");
  int triangles = 0;
  PM_CHECK(mesh != NULL && sscanf(mesh, "\"mesh\": {\n    \"triangles\": %d", &triangles) == 1);
  PM_CHECK(triangles > 200 && triangles < 500);
  PM_CHECK(contains(mesh, "\"is_closed\": true,\n    \"is_oriented\": true"));
  PM_CHECK(fails(run_text(CUBE, "{\"cells\": 2, \"scale\": 1e-12, \"colour\": 1}"), PM_INVALID_TASK, "colour"));
  free(text);
}

static void a_format_is_known_by_how_its_lines_begin(void) {
  static const char FACET[] = "FACET NORMAL 0 0 1\nOUTER LOOP\nVERTEX 0 0 0\nVERTEX 1 0 0\nVERTEX 0 1 0\nENDLOOP\nENDFACET\nENDSOLID\n";
  char text[1024];
  const char *heads[] = {"SOLID X\n", "\xef\xbb\xbfsolid\n", " \n solid x\r\n"};
  for (int i = 0; i < 3; i++) {
    snprintf(text, sizeof text, "%s%s", heads[i], FACET);
    pm_outcome outcome = run_text(text, NULL);
    PM_CHECK_TEXT(outcome.reason, NULL);
    PM_CHECK(contains(measures_of(&outcome), "\"stl-text\""));
  }
  const char *objects[] = {"# solid model\n", "g solidworks\n", "\xef\xbb\xbf# made by hand\n"};
  for (int i = 0; i < 3; i++) {
    snprintf(text, sizeof text, "%sv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", objects[i]);
    pm_outcome outcome = run_text(text, NULL);
    PM_CHECK_TEXT(outcome.reason, NULL);
    PM_CHECK(contains(measures_of(&outcome), "\"obj\""));
  }
  PM_CHECK(fails(run_text("hello world to all\n", NULL), PM_INVALID_INPUT, "neither as STL nor as OBJ"));
}

static void files_that_are_cut_off_or_lie_say_so(void) {
  size_t length;
  uint8_t *bytes = stl(100, 100, &length);
  pm_outcome outcome = run_bytes(bytes, length, NULL);
  PM_CHECK_TEXT(outcome.reason, NULL);
  PM_CHECK(contains(measures_of(&outcome), "\"triangles\": 100"));
  PM_CHECK(fails(run_bytes(bytes, length - 10, NULL), PM_INVALID_INPUT, "announces 100 triangles, which take 5084 bytes, and has 5074"));
  free(bytes);
  /* A number that would overflow 32 bits when it is multiplied. */
  bytes = stl(1, 0xffffffff, &length);
  PM_CHECK(fails(run_bytes(bytes, length, NULL), PM_INVALID_INPUT, "announces 4294967295 triangles, which take 214748364834 bytes"));
  free(bytes);
  bytes = stl(2, 2, &length);
  memcpy(bytes + 84 + 50 + 12, (uint8_t[]){0, 0, 0xc0, 0x7f}, 4);
  PM_CHECK(fails(run_bytes(bytes, length, NULL), PM_INVALID_INPUT, "triangle 2 of mesh: the coordinate nan is out of range"));
  free(bytes);
  PM_CHECK(fails(run_text("solid x\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\n", NULL), PM_INVALID_INPUT, "ends in line 4 without `endsolid`"));
  PM_CHECK(fails(run_text("", NULL), PM_INVALID_INPUT, "mesh is empty"));
  PM_CHECK(fails(run_text("ply\nformat ascii 1.0\n", NULL), PM_INVALID_INPUT, "begins neither as STL nor as OBJ"));
}

static void lines_that_mean_nothing_are_told_with_their_number(void) {
  struct {
    const char *text, *wanted;
  } cases[] = {
      {"v 1 2\nf 1 1 1\n", "line 1 of mesh: v 1 2 is not a vertex"},
      {"v 1 2 x\n", "line 1 of mesh: v 1 2 x is not a vertex"},
      {"v 1 2 3\nf 1 1 2\n", "line 2 of mesh: corner 3 of the face f 1 1 2 is none of the 1 vertices before it"},
      {"v 1 2 3\nf 1 1 -2\n", "corner 3 of the face f 1 1 -2"},
      {"v 1 2 3\nf 1 1 0\n", "corner 3 of the face f 1 1 0"},
      {"v 1 2 3\nf 1 1 99999999999999999999\n", "corner 3 of the face"},
      {"v 1 2 3\nf 1 1 1x\n", "corner 3 of the face"},
      {"v 1 2 3\nf 1 1\n", "line 2 of mesh: a face of 2 corners"},
      {"v 1 2 3\nf 1 1 \\\n1\n", "line 2 of mesh goes on in the next line"},
      {"v 1 2 1e39\nf 1 1 1\n", "line 1 of mesh: the coordinate 1e+39 is out of range"},
      {"v 1 2 3\n", "mesh has no triangles"},
      {"v 1 2 3\nf 1 1 1\n", "none of the 1 triangles has an area"},
      {"solid\nfacet normal 0 0 1\nouter loop\nvertex 0 0\nendloop\n", "line 4 of mesh: vertex 0 0 is not a vertex of three numbers"},
      {"solid\nvertex 0 0 0\n", "line 2 of mesh: a vertex outside of a facet"},
      {"solid\nfacet\nvertex 0 0 0\nendfacet\n", "line 4 of mesh: the facet that ends here has 1 vertices"},
      {"solid\nfacet\nfacet\n", "line 3 of mesh: a facet in a facet"},
      {"solid\nface\n", "line 2 of mesh: face means nothing in STL"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    PM_CHECK(fails(run_text(cases[i].text, NULL), PM_INVALID_INPUT, cases[i].wanted));
  }
  char *line = malloc((2 << 20) + 1);
  memset(line, ' ', 2 << 20);
  memcpy(line, "v 1 2 3\nf", 9);
  line[2 << 20] = '\0';
  PM_CHECK(fails(run_text(line, NULL), PM_INVALID_INPUT, "line 2 of mesh has more than 1024 KiB"));
  free(line);
}

static void parameters_out_of_range_are_the_fault_of_the_task(void) {
  const char *scale = "it can be a number from 1e-12 to 1e12", *cells = "it can be a whole number from 2 to 2048";
  struct {
    const char *meta, *value, *range;
  } cases[] = {
      {"{\"scale\": 0}", "scale is 0;", scale},         {"{\"scale\": -1}", "scale is -1;", scale},
      {"{\"scale\": 1e-13}", "scale is 1e-13;", scale}, {"{\"scale\": 1e999}", "", ""},
      {"{\"scale\": 1e300}", "scale is 1e+300;", scale}, {"{\"scale\": \"1\"}", "scale", ""},
      {"{\"cells\": 0}", "cells is 0;", cells},         {"{\"cells\": -0.0}", "cells is -0;", cells},
      {"{\"cells\": 1}", "cells is 1;", cells},         {"{\"cells\": -2}", "cells is -2;", cells},
      {"{\"cells\": 2.5}", "cells is 2.5;", cells},     {"{\"cells\": 2049}", "cells is 2049;", cells},
      {"{\"cells\": 1e300}", "cells is 1e+300;", cells}, {"{\"origin\": \"top\"}", "origin is top", ""},
      {"[1]", "no JSON object", ""},                    {"{\"unknown\": true}", "unknown", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pm_outcome outcome = run_text(CUBE, cases[i].meta);
    PM_CHECK(fails(outcome, PM_INVALID_TASK, cases[i].value) && fails(outcome, PM_INVALID_TASK, cases[i].range));
  }
}

static void a_broken_download_and_a_cancelled_task_store_nothing(void) {
  input = (pm_test_input){.cid = "mesh", .bytes = CUBE, .breaks = true, .error = {PM_UNAVAILABLE, "it answers 503"}};
  given = (pm_test){.inputs = &input, .count = 1};
  PM_CHECK(fails(pm_test_run(&the_runner, &given), PM_UNAVAILABLE, "it answers 503"));
  size_t length;
  uint8_t *bytes = stl(20000, 20000, &length);
  for (int tenths = 2; tenths <= 8; tenths += 6) {
    input = (pm_test_input){.cid = "mesh", .bytes = bytes, .length = length};
    given = (pm_test){.inputs = &input, .count = 1, .cancel_at = tenths / 10.0};
    PM_CHECK(fails(pm_test_run(&the_runner, &given), PM_CANCELLED, "cancelled"));
  }
  free(bytes);
}

int main(void) {
  a_closed_mesh_has_a_volume();
  what_is_written_can_be_read_and_is_the_same();
  a_hole_and_a_turned_face_are_noticed();
  a_grid_leaves_less_and_what_is_closed_closed();
  a_format_is_known_by_how_its_lines_begin();
  files_that_are_cut_off_or_lie_say_so();
  lines_that_mean_nothing_are_told_with_their_number();
  parameters_out_of_range_are_the_fault_of_the_task();
  a_broken_download_and_a_cancelled_task_store_nothing();
  return pm_test_end();
}

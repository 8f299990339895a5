/* Meshes as streams of triangles. */
#ifndef MESH_H
#define MESH_H

#include "posemesh/posemesh.h"

typedef struct point {
  float x, y, z;
} point;

typedef struct triangle {
  point corner[3];
} triangle;

/* What a task asks for. */
typedef struct params {
  double scale;       /* What coordinates are multiplied with */
  int cells;          /* Cells along the longest side of the mesh; 0: every triangle is kept */
  const char *origin; /* "keep", "centre" or "floor" */
} params;

bool read_params(pm_task *task, params *params);
/* The JSON Schema of the parameters. A macro, since what a runner says of itself is a constant. */
#define PARAMS_SCHEMA \
  "{\n" \
  "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n" \
  "  \"type\": \"object\",\n" \
  "  \"additionalProperties\": false,\n" \
  "  \"properties\": {\n" \
  "    \"scale\": {\"description\": \"What coordinates are multiplied with: 0.001 makes metres of millimetres\",\n" \
  "      \"type\": \"number\", \"exclusiveMinimum\": 0, \"default\": 1},\n" \
  "    \"cells\": {\"description\": \"Thins the mesh on a grid with so many cells along its longest side\",\n" \
  "      \"type\": \"integer\", \"minimum\": 2, \"maximum\": 2048},\n" \
  "    \"origin\": {\"description\": \"Where the origin is: as it was, in the middle, or below the middle of the lowest point\",\n" \
  "      \"enum\": [\"keep\", \"centre\", \"floor\"], \"default\": \"keep\"}\n" \
  "  }\n" \
  "}"

/* Bytes and lines of a part, which can be looked at before they are taken. */
typedef struct source {
  pm_task *task;
  pm_part *part;
  const char *name;
  uint64_t size;
  uint8_t *bytes; /* What was read, and not taken */
  size_t at, end, room;
  uint64_t taken; /* Bytes before `at` in the part */
  uint64_t line;  /* Lines that were taken */
} source;

/* The only part of the only input, from its beginning; a second time, too. */
bool source_open(pm_task *task, source *source);
void source_close(source *source);
/* Makes so many bytes visible at `bytes + at`, if the part has so many; says how many there are. */
bool source_look(source *source, size_t wanted, size_t *there);
void source_take(source *source, size_t count);
/* The next line without its end, with a NUL behind it; NULL after the last. */
bool source_line(source *source, char **line);
double source_done(const source *source);

/* What is done with each triangle. */
typedef bool (*visit)(void *context, const triangle *triangle);

/* Reads all triangles, multiplied with `scale`. Progress goes from `from` to `to`. */
bool read_mesh(source *source, double scale, visit visit, void *context, double from, double to);
const char *format_of(source *source);

/* For the readers of the formats. */
typedef struct reading {
  source *source;
  double scale;
  visit visit;
  void *context;
  double from, to;
  uint64_t triangles;
} reading;
bool read_binary_stl(reading *reading);
bool read_ascii_stl(reading *reading);
bool read_obj(reading *reading);
/* Three numbers of a text; false if there are not. `rest` is what is behind them. */
bool three_numbers(const char *text, double found[3], const char **rest);
/* Makes a point of coordinates; `where` is `triangle 7` or `line 3`. */
bool scaled_point(reading *reading, const double from[3], const char *what, uint64_t number, point *to);
/* Passes a triangle on, and tells the progress now and then. */
bool found_triangle(reading *reading, const triangle *triangle);

/* A sum whose error does not grow with what is added. */
typedef struct sum {
  double value, lost;
} sum;

/* What is known of a mesh after each triangle, without any of it being held. */
typedef struct measures {
  uint64_t triangles;
  uint64_t degenerate; /* Without an area */
  double least[3], greatest[3];
  sum area, volume;
  sum surface_centre[3], volume_centre[3];
  double first[3]; /* What volumes are measured from: near the mesh, so that little is lost */
  /* Each edge adds its number in the one direction and takes it away in the other: what is left over is 0 if both are there. */
  uint64_t directed;
  /* The same without direction: 0 if each edge is there an even number of times. */
  uint64_t undirected;
} measures;

bool measure(void *measures, const triangle *triangle);
double total(const sum *sum);
bool is_degenerate(const triangle *triangle);
/* The normal, times twice the area. */
void normal_of(const triangle *triangle, double normal[3]);

/* A mesh of which the corners in a cell of a grid are one. */
typedef struct clusters clusters;
clusters *clusters_new(pm_task *task, const measures *measures, int cells);
bool cluster(void *clusters, const triangle *triangle);
/* How many different triangles there are. */
uint32_t clusters_count(const clusters *clusters);
/* One of them, and how often it is left: mostly once, and not at all if it looked both ways. */
uint32_t clusters_triangle(const clusters *clusters, uint32_t number, triangle *triangle);

#endif

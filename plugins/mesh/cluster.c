/* Thins a mesh on a grid: the corners in a cell become one, at their mean, and triangles whose corners are not in three cells are
 * gone (Rossignac and Borrel). Two triangles that look at each other are gone, too. So each edge is as often there in the one
 * direction as in the other, if it was before: what is closed stays closed. What is held is the thin mesh alone. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mesh.h"

#define MAX_CELLS (2u << 20)
#define MAX_TRIANGLES (4u << 20)

typedef struct cell {
  uint64_t key;
  double sum[3];
  uint64_t corners;
} cell;

/* A triangle between three cells, the least first. */
typedef struct face {
  uint32_t cells[3];
  int32_t turns; /* How many more of them there are in this order than in the other */
} face;

/* Numbers of what is in a list, found by a hash. 0 is free. */
typedef struct table {
  uint32_t *slots;
  size_t size; /* A power of two */
} table;

struct clusters {
  pm_task *task;
  double least[3];
  double width;
  cell *cells;
  uint32_t cell_count, cell_room;
  table cells_by_key;
  face *faces;
  uint32_t face_count, face_room;
  table faces_by_corners;
};

clusters *clusters_new(pm_task *task, const measures *measures, int cells) {
  clusters *made = pm_alloc(sizeof *made);
  *made = (clusters){.task = task};
  double longest = 0;
  for (int axis = 0; axis < 3; axis++) {
    made->least[axis] = measures->least[axis];
    longest = fmax(longest, measures->greatest[axis] - measures->least[axis]);
  }
  /* A mesh that is one point has one cell. */
  made->width = longest > 0 ? longest / cells : 1;
  return made;
}

static uint64_t hashed(uint64_t number) {
  number = (number ^ number >> 31) * 0x9e3779b97f4a7c15u;
  return number ^ number >> 29;
}

/* Twice as many slots, if more than half of them would be used. `hash` says where an entry belongs. */
static void table_grow(table *table, uint32_t count, uint64_t (*hash)(const clusters *, uint32_t), const clusters *clusters) {
  if (table->size >= 2 * ((size_t)count + 1)) return;
  table->size = table->size == 0 ? 1024 : 2 * table->size;
  table->slots = pm_resize(table->slots, table->size * sizeof *table->slots);
  memset(table->slots, 0, table->size * sizeof *table->slots);
  for (uint32_t number = 0; number < count; number++) {
    size_t slot = hash(clusters, number) & (table->size - 1);
    while (table->slots[slot] != 0) slot = (slot + 1) & (table->size - 1);
    table->slots[slot] = number + 1;
  }
}

static uint64_t cell_hash(const clusters *clusters, uint32_t number) {
  return hashed(clusters->cells[number].key);
}

static uint64_t hash_of_face(const uint32_t cells[3]) {
  return hashed(hashed((uint64_t)cells[0] << 32 | cells[1]) + cells[2]);
}

static uint64_t face_hash(const clusters *clusters, uint32_t number) {
  return hash_of_face(clusters->faces[number].cells);
}

static uint64_t key_of(const clusters *clusters, const point *point) {
  const double place[3] = {point->x, point->y, point->z};
  uint64_t key = 0;
  for (int axis = 0; axis < 3; axis++) {
    double cell = floor((place[axis] - clusters->least[axis]) / clusters->width);
    /* A file that has changed since it was measured stays within bounds. */
    key = key << 21 | (uint64_t)fmin(fmax(cell, 0), (1 << 21) - 1);
  }
  return key;
}

static bool add_corner(clusters *clusters, const point *point, uint32_t *number) {
  table_grow(&clusters->cells_by_key, clusters->cell_count, cell_hash, clusters);
  table *table = &clusters->cells_by_key;
  uint64_t key = key_of(clusters, point);
  size_t slot = hashed(key) & (table->size - 1);
  while (table->slots[slot] != 0 && clusters->cells[table->slots[slot] - 1].key != key) slot = (slot + 1) & (table->size - 1);
  if (table->slots[slot] == 0) {
    if (clusters->cell_count == MAX_CELLS) {
      return pm_fail(clusters->task, PM_INVALID_TASK, "more than %u cells are used: the task has to ask for fewer", MAX_CELLS);
    }
    if (clusters->cell_count == clusters->cell_room) {
      clusters->cell_room = clusters->cell_room == 0 ? 1024 : 2 * clusters->cell_room;
      clusters->cells = pm_resize(clusters->cells, clusters->cell_room * sizeof *clusters->cells);
    }
    clusters->cells[clusters->cell_count] = (cell){.key = key};
    table->slots[slot] = ++clusters->cell_count;
  }
  *number = table->slots[slot] - 1;
  cell *cell = &clusters->cells[*number];
  cell->sum[0] += point->x;
  cell->sum[1] += point->y;
  cell->sum[2] += point->z;
  cell->corners++;
  return true;
}

/* Sorts three numbers; -1 if that turns a triangle over. */
static int sort(uint32_t at[3]) {
  int turn = 1;
  for (int i = 0; i < 3; i++) {
    int one = i % 2, other = one + 1;
    if (at[one] <= at[other]) continue;
    uint32_t greater = at[one];
    at[one] = at[other];
    at[other] = greater;
    turn = -turn;
  }
  return turn;
}

static bool find_face(clusters *clusters, const uint32_t cells[3], face **face) {
  table_grow(&clusters->faces_by_corners, clusters->face_count, face_hash, clusters);
  table *table = &clusters->faces_by_corners;
  size_t slot = hash_of_face(cells) & (table->size - 1);
  for (; table->slots[slot] != 0; slot = (slot + 1) & (table->size - 1)) {
    *face = &clusters->faces[table->slots[slot] - 1];
    if (memcmp((*face)->cells, cells, sizeof (*face)->cells) == 0) return true;
  }
  if (clusters->face_count == MAX_TRIANGLES) {
    return pm_fail(clusters->task, PM_INVALID_TASK, "more than %u triangles are left: the task has to ask for fewer cells", MAX_TRIANGLES);
  }
  if (clusters->face_count == clusters->face_room) {
    clusters->face_room = clusters->face_room == 0 ? 1024 : 2 * clusters->face_room;
    clusters->faces = pm_resize(clusters->faces, clusters->face_room * sizeof *clusters->faces);
  }
  *face = &clusters->faces[clusters->face_count];
  memcpy((*face)->cells, cells, sizeof (*face)->cells);
  (*face)->turns = 0;
  table->slots[slot] = ++clusters->face_count;
  return true;
}

bool cluster(void *context, const triangle *triangle) {
  clusters *clusters = context;
  uint32_t at[3];
  for (int i = 0; i < 3; i++) {
    if (!add_corner(clusters, &triangle->corner[i], &at[i])) return false;
  }
  if (at[0] == at[1] || at[1] == at[2] || at[0] == at[2]) return true;
  face *face;
  int turn = sort(at);
  if (!find_face(clusters, at, &face)) return false;
  face->turns += turn;
  return true;
}

uint32_t clusters_count(const clusters *clusters) {
  return clusters->face_count;
}

uint32_t clusters_triangle(const clusters *clusters, uint32_t number, triangle *triangle) {
  const face *face = &clusters->faces[number];
  for (int i = 0; i < 3; i++) {
    const cell *cell = &clusters->cells[face->cells[face->turns < 0 ? 2 - i : i]];
    double corners = (double)cell->corners;
    triangle->corner[i] = (point){(float)(cell->sum[0] / corners), (float)(cell->sum[1] / corners), (float)(cell->sum[2] / corners)};
  }
  if (is_degenerate(triangle)) return 0;
  return (uint32_t)(face->turns < 0 ? -face->turns : face->turns);
}

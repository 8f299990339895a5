/* Measures a mesh from its triangles, of which none is held. */

#include <math.h>
#include <string.h>

#include "mesh.h"

/* Neumaier's sum. */
static void add(sum *sum, double value) {
  double next = sum->value + value;
  sum->lost += fabs(sum->value) >= fabs(value) ? (sum->value - next) + value : (value - next) + sum->value;
  sum->value = next;
}

double total(const sum *sum) {
  return sum->value + sum->lost;
}

void normal_of(const triangle *triangle, double normal[3]) {
  const point *a = &triangle->corner[0], *b = &triangle->corner[1], *c = &triangle->corner[2];
  double u[3] = {(double)b->x - a->x, (double)b->y - a->y, (double)b->z - a->z};
  double v[3] = {(double)c->x - a->x, (double)c->y - a->y, (double)c->z - a->z};
  normal[0] = u[1] * v[2] - u[2] * v[1];
  normal[1] = u[2] * v[0] - u[0] * v[2];
  normal[2] = u[0] * v[1] - u[1] * v[0];
}

static double length_of(const double vector[3]) {
  return sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2]);
}

bool is_degenerate(const triangle *triangle) {
  double normal[3];
  normal_of(triangle, normal);
  return !(length_of(normal) > 0);
}

/* A number that is most probably no other edge's. */
static uint64_t mixed(uint64_t number) {
  number ^= number >> 33;
  number *= 0xff51afd7ed558ccdu;
  number ^= number >> 33;
  number *= 0xc4ceb9fe1a85ec53u;
  return number ^ number >> 33;
}

static uint64_t number_of(const point *point) {
  uint32_t bits[3];
  memcpy(bits, point, sizeof bits);
  return mixed(mixed(mixed(bits[0] + 0x9e3779b97f4a7c15u) + bits[1]) + bits[2]);
}

static void count_edge(measures *measures, uint64_t from, uint64_t to) {
  if (from == to) return;
  bool is_forward = from < to;
  uint64_t edge = mixed(mixed(is_forward ? from : to) + (is_forward ? to : from));
  measures->directed += is_forward ? edge : 0 - edge;
  measures->undirected ^= edge;
}

bool measure(void *context, const triangle *triangle) {
  measures *measures = context;
  const point *corner = triangle->corner;
  if (measures->triangles == 0) {
    for (int axis = 0; axis < 3; axis++) {
      measures->least[axis] = INFINITY;
      measures->greatest[axis] = -INFINITY;
    }
    measures->first[0] = corner[0].x;
    measures->first[1] = corner[0].y;
    measures->first[2] = corner[0].z;
  }
  measures->triangles++;
  uint64_t numbers[3];
  double at[3][3], normal[3];
  for (int i = 0; i < 3; i++) {
    const double place[3] = {corner[i].x, corner[i].y, corner[i].z};
    for (int axis = 0; axis < 3; axis++) {
      measures->least[axis] = fmin(measures->least[axis], place[axis]);
      measures->greatest[axis] = fmax(measures->greatest[axis], place[axis]);
      at[i][axis] = place[axis] - measures->first[axis];
    }
    numbers[i] = number_of(&corner[i]);
  }
  for (int i = 0; i < 3; i++) count_edge(measures, numbers[i], numbers[(i + 1) % 3]);
  if (is_degenerate(triangle)) {
    measures->degenerate++;
    return true;
  }
  normal_of(triangle, normal);
  double area = length_of(normal) / 2;
  /* Of the tetrahedron from the first corner of the mesh. */
  double volume = (at[0][0] * normal[0] + at[0][1] * normal[1] + at[0][2] * normal[2]) / 6;
  add(&measures->area, area);
  add(&measures->volume, volume);
  for (int axis = 0; axis < 3; axis++) {
    double corners = at[0][axis] + at[1][axis] + at[2][axis];
    add(&measures->surface_centre[axis], area * corners / 3);
    add(&measures->volume_centre[axis], volume * corners / 4);
  }
  return true;
}

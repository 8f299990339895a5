/* Reads its input. */

#include "posemesh/posemesh.h"

static char chunk[1 << 20];

static bool reads(pm_task *task) {
  pm_part *part;
  if (!pm_only_part(task, &part)) return false;
  size_t bytes = 0, got;
  do {
    if (!pm_read(part, chunk, sizeof chunk, &got)) return false;
    bytes += got;
  } while (got > 0);
  return pm_write_text(task, "bytes.json", "{\"bytes\": %zu}\n", bytes);
}

const pm_runner the_runner = {
    .name = "reading",
    .version = "0.1.0",
    .summary = "Reads its input.",
    .capabilities = {"/example/reading/v1"},
    .memory_mib = 64,
    .run = reads,
};

/* Write capability runners for posemesh nodes in C.
 *
 * A program defines `the_runner`: what the runner says of itself, and the function that does a task. Every call that can
 * fail returns false and leaves its error with the task, so that `return false` passes it on whole: what a port said becomes
 * the reason in the job server's record, with the case that says whose fault it was. `pm_fail` makes such an error.
 *
 * An instance lives for one task: what is small need not be freed. What a stream gives is freed by the SDK.
 */
#ifndef POSEMESH_H
#define POSEMESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PM_PRINTF(at, first) __attribute__((__format__(__printf__, at, first)))
#define PM_MUST_USE __attribute__((__warn_unused_result__))
#else
#define PM_PRINTF(at, first)
#define PM_MUST_USE
#endif

/* The version of the contract that runners are built against with this SDK. */
#define PM_WIT_VERSION "0.2.0"

/* Whose fault a failure is: the cases of the contract's error, in its order. */
typedef enum pm_case {
  PM_INVALID_TASK,  /* The task as submitted can't be done: a parameter is missing or out of range. */
  PM_INVALID_INPUT, /* An input is broken or of a kind that the runner does not read. Say where: a line, a byte. */
  PM_FAILED,        /* The runner failed in any other way. */
  PM_NOT_FOUND,     /* From here on: what a port of the node says. */
  PM_INVALID_CALL,
  PM_DENIED,
  PM_LIMIT,
  PM_CORRUPT,
  PM_UNAVAILABLE,
  PM_CANCELLED, /* The task is being stopped: let it pass. */
  PM_PORT_FAILED,
} pm_case;

/* An error. Without one, `reason` is NULL. */
typedef struct pm_error {
  pm_case kind;
  char *reason;
} pm_error;

/* A task. Texts that the submitter did not give are NULL. */
typedef struct pm_task {
  const char *id;
  const char *job_id;
  const char *domain_id;
  const char *capability;
  const char *capability_filters; /* JSON */
  const char *outputs_prefix;
  const char *label;
  const char *stage;
  const char *const *inputs; /* CIDs, for `pm_open` */
  size_t input_count;
  const pm_json *params; /* The task's `meta` */
  pm_error error;        /* That of the last call that failed */
  double told;           /* The progress that the node knows of; the SDK's own */
  char *told_stage;
} pm_task;

/* A runner: what it says of itself, what it asks for beyond the node's defaults (0 is the default), and what it does. */
typedef struct pm_runner {
  const char *name;    /* Letters, digits, `-` and `_` */
  const char *version; /* Semantic versioning */
  const char *summary;
  const char *capabilities[32]; /* "/example/count/v1" */
  bool (*run)(pm_task *task);   /* False when the task has failed */
  uint64_t memory_mib;
  uint64_t deadline_secs;
  uint64_t cpu_time_secs;
  uint64_t scratch_mib;
  uint64_t output_mib;
  uint64_t artifacts;
  const char *network_hosts[16];
  const char *environment[16];
  const char *directories[16];
  const char *meta_schema;
  const char *homepage;
  const char *license;
} pm_runner;

/* Defined by the program. */
extern const pm_runner the_runner;

/* Makes an error of the task, as `printf` does, and returns false: `return pm_fail(task, PM_INVALID_INPUT, "line %zu", n);` */
bool pm_fail(pm_task *task, pm_case kind, const char *format, ...) PM_PRINTF(3, 4);

/* Parameters: fields of the task's `meta`. Without the field or with one of another type the task is invalid; `_or` takes a
 * value for a field that is missing. */
PM_MUST_USE bool pm_text_param(pm_task *task, const char *name, const char **value);
PM_MUST_USE bool pm_text_param_or(pm_task *task, const char *name, const char *otherwise, const char **value);
PM_MUST_USE bool pm_number_param(pm_task *task, const char *name, double *value);
PM_MUST_USE bool pm_number_param_or(pm_task *task, const char *name, double otherwise, double *value);

/* One blob of an input. */
typedef struct pm_part pm_part;
/* An opened CID, which stands for one part or several. */
typedef struct pm_input pm_input;

/* What the domain server says of a part. */
typedef struct pm_part_info {
  const char *data_id;
  const char *name; /* As it was uploaded: not a path */
  const char *data_type;
  const char *domain_id;
  uint64_t size;
} pm_part_info;

PM_MUST_USE bool pm_open(pm_task *task, const char *cid, pm_input **input);
/* The next part, or NULL after the last. */
PM_MUST_USE bool pm_next_part(pm_input *input, pm_part **part);
void pm_close_input(pm_input *input);
/* The only part of the only input. */
PM_MUST_USE bool pm_only_part(pm_task *task, pm_part **part);
void pm_close_part(pm_part *part);

const pm_part_info *pm_info(const pm_part *part);
/* How much of it the stream has read, from 0 to 1. */
double pm_done(const pm_part *part);
/* The next bytes: `got` is 0 at the end alone. One that breaks off is an error, and never a shorter stream. */
PM_MUST_USE bool pm_read(pm_part *part, void *to, size_t max, size_t *got);
/* Exactly so many bytes; `PM_INVALID_INPUT` if the part ends before. */
PM_MUST_USE bool pm_read_exactly(pm_part *part, void *to, size_t length);
/* The next line without its end (LF or CR LF), with a NUL behind it, valid until the next call; NULL after the last.
 * A line has at most 16 MiB. */
PM_MUST_USE bool pm_line(pm_part *part, char **line, size_t *length);
/* What is left of the part, with a NUL behind it; `PM_INVALID_INPUT` if that is more than `max`. The caller frees it. */
PM_MUST_USE bool pm_read_all(pm_part *part, size_t max, uint8_t **bytes, size_t *length);
/* Bytes at an offset; the stream does not move. */
PM_MUST_USE bool pm_read_at(pm_part *part, uint64_t offset, void *to, size_t max, size_t *got);
/* The part as a read-only file: its path in the sandbox. */
PM_MUST_USE bool pm_materialise(pm_part *part, const char **path);

/* An artifact that is being written. It is stored by `pm_finish` alone. */
typedef struct pm_artifact pm_artifact;

/* What may be said of an artifact beyond its path; NULL and 0 leave it to the node. */
typedef struct pm_options {
  const char *name;
  const char *data_type;
  const char *existing_id;
  uint64_t size_hint;
} pm_options;

/* Starts an artifact at a relative path, whose extension says which kind of data it is. `options` may be NULL. */
PM_MUST_USE bool pm_create(pm_task *task, const char *path, const pm_options *options, pm_artifact **artifact);
PM_MUST_USE bool pm_write(pm_artifact *artifact, const void *bytes, size_t length);
PM_MUST_USE bool pm_print(pm_artifact *artifact, const char *format, ...) PM_PRINTF(2, 3);
/* Stores it. The artifact is gone, whether it could be stored or not. */
PM_MUST_USE bool pm_finish(pm_artifact *artifact);
/* Gives it up. */
void pm_abort(pm_artifact *artifact);
/* Stores a text that is at hand. */
PM_MUST_USE bool pm_write_text(pm_task *task, const char *path, const char *format, ...) PM_PRINTF(3, 4);

/* Says how far the task is, from 0 to 1, when that has changed enough. False when the task is being stopped. */
PM_MUST_USE bool pm_progress(pm_task *task, double fraction, const char *stage);
/* False when the task is being stopped. */
PM_MUST_USE bool pm_check_cancelled(pm_task *task);
/* Waits; false when the task is being stopped meanwhile. */
PM_MUST_USE bool pm_sleep(pm_task *task, double seconds);
/* Adds an event, JSON, to the task's record; false when it was not taken, which is no reason to fail. */
bool pm_event(const char *json);

typedef enum pm_level { PM_DEBUG, PM_INFO, PM_WARN, PM_ERROR } pm_level;
/* Writes a line to the node's log. */
void pm_log(pm_level level, const char *format, ...) PM_PRINTF(2, 3);

/* What this task may use. */
typedef struct pm_budget {
  uint64_t memory_bytes;
  uint64_t scratch_bytes;
  uint64_t output_bytes_left;
  uint64_t time_left_ms;
} pm_budget;
pm_budget pm_get_budget(void);

/* Memory that is there: without any, the runner ends, and says how much it asked for. */
void *pm_alloc(size_t size);
void *pm_resize(void *memory, size_t size);
char *pm_copy(const char *text);

#ifdef __cplusplus
}
#endif
#endif

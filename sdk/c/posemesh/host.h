/* What the SDK needs of a node: `component.c` has it from the contract, `testing.c` from memory. Programs do not call it. */
#ifndef POSEMESH_HOST_H
#define POSEMESH_HOST_H

#include <stdarg.h>

#include "posemesh.h"

/* A resource of the node. */
typedef int32_t pm_handle;

bool pm_host_open(const char *cid, pm_handle *input, pm_error *error);
bool pm_host_next_part(pm_handle input, bool *is_there, pm_handle *part, pm_part_info *info, pm_error *error);
void pm_host_drop_input(pm_handle input);
/* The caller frees the bytes. */
bool pm_host_read(pm_handle part, uint32_t max, uint8_t **bytes, size_t *length, pm_error *error);
bool pm_host_read_at(pm_handle part, uint64_t offset, uint32_t max, uint8_t **bytes, size_t *length, pm_error *error);
bool pm_host_materialise(pm_handle part, char **path, pm_error *error);
void pm_host_drop_part(pm_handle part);
bool pm_host_create(const char *path, const pm_options *options, pm_handle *artifact, pm_error *error);
bool pm_host_write(pm_handle artifact, const uint8_t *bytes, size_t length, pm_error *error);
bool pm_host_finish(pm_handle artifact, pm_error *error);
void pm_host_drop_artifact(pm_handle artifact);
void pm_host_progress(const char *json);
bool pm_host_event(const char *json);
void pm_host_log(pm_level level, const char *message);
bool pm_host_is_cancelled(void);
bool pm_host_wait_cancelled(uint64_t timeout_ms);
pm_budget pm_host_budget(void);

/* Runs a task: false with its error. */
bool pm_run(const pm_runner *runner, pm_task *task, const char *meta);
/* Replaces what is no UTF-8 by `?`: a text with such bytes would end the runner. */
void pm_make_utf8(char *text);
/* `printf` into new memory. */
char *pm_format(const char *format, va_list arguments);
/* Makes an error of a task that one of the host's is. Returns false. */
bool pm_pass_on(pm_task *task, pm_error error);

#endif

/* The node of a component: the ports of the contract, and its exports. */

#include <stdlib.h>
#include <string.h>

#include "bindings/runner.h"
#include "host.h"

/* The cases have the order of the contract. */
_Static_assert((int)PM_CANCELLED == POSEMESH_RUNNER_TYPES_ERROR_CANCELLED, "the contract's errors are others");
_Static_assert((int)PM_PORT_FAILED == POSEMESH_RUNNER_TYPES_ERROR_PORT_FAILED, "the contract's errors are others");

/* The bindings want this symbol of an object file that holds the contract. `wasm-tools component embed` puts it in instead. */
void __component_type_object_force_link_runner(void) {}

/* A text for a call: the node copies it. Never changed by it. */
static runner_string_t lent(const char *text) {
  return (runner_string_t){(uint8_t *)text, strlen(text)};
}

static runner_string_t copied(const char *text) {
  return lent(pm_copy(text != NULL ? text : ""));
}

/* A text of the node as ours, with a NUL behind it. What is after a NUL in it is left out. */
static char *taken(runner_string_t *text) {
  char *ours = pm_alloc(text->len + 1);
  if (text->len > 0) memcpy(ours, text->ptr, text->len);
  ours[text->len] = '\0';
  runner_string_free(text);
  return ours;
}

static const char *taken_option(runner_option_string_t *text) {
  return text->is_some ? taken(&text->val) : NULL;
}

static bool refused(posemesh_runner_types_error_t *from, pm_error *error) {
  /* Every case but one has a text, in the same place. */
  bool is_cancelled = from->tag == POSEMESH_RUNNER_TYPES_ERROR_CANCELLED;
  char *reason = is_cancelled ? pm_copy("the task was cancelled") : taken(&from->val.failed);
  *error = (pm_error){(pm_case)from->tag, reason};
  return false;
}

static posemesh_runner_inputs_borrow_part_t part_of(pm_handle part) {
  return posemesh_runner_inputs_borrow_part((posemesh_runner_inputs_own_part_t){part});
}

bool pm_host_open(const char *cid, pm_handle *input, pm_error *error) {
  runner_string_t name = lent(cid);
  posemesh_runner_inputs_own_input_t opened;
  posemesh_runner_types_error_t failed;
  if (!posemesh_runner_inputs_open(&name, &opened, &failed)) return refused(&failed, error);
  *input = opened.__handle;
  return true;
}

bool pm_host_next_part(pm_handle input, bool *is_there, pm_handle *part, pm_part_info *info, pm_error *error) {
  posemesh_runner_inputs_own_input_t own = {input};
  posemesh_runner_inputs_option_own_part_t next;
  posemesh_runner_types_error_t failed;
  if (!posemesh_runner_inputs_method_input_next_part(posemesh_runner_inputs_borrow_input(own), &next, &failed)) {
    return refused(&failed, error);
  }
  *is_there = next.is_some;
  if (!next.is_some) return true;
  *part = next.val.__handle;
  posemesh_runner_inputs_part_info_t found;
  posemesh_runner_inputs_method_part_info(part_of(*part), &found);
  *info = (pm_part_info){
      .data_id = taken(&found.data_id),
      .name = taken(&found.name),
      .data_type = taken(&found.data_type),
      .domain_id = taken(&found.domain_id),
      .size = found.size,
  };
  runner_option_string_free(&found.created_at);
  runner_option_string_free(&found.updated_at);
  return true;
}

void pm_host_drop_input(pm_handle input) {
  posemesh_runner_inputs_input_drop_own((posemesh_runner_inputs_own_input_t){input});
}

bool pm_host_read(pm_handle part, uint32_t max, uint8_t **bytes, size_t *length, pm_error *error) {
  runner_list_u8_t chunk;
  posemesh_runner_types_error_t failed;
  if (!posemesh_runner_inputs_method_part_read(part_of(part), max, &chunk, &failed)) return refused(&failed, error);
  /* An empty list has no memory to be freed. */
  *bytes = chunk.len > 0 ? chunk.ptr : NULL;
  *length = chunk.len;
  return true;
}

bool pm_host_read_at(pm_handle part, uint64_t offset, uint32_t max, uint8_t **bytes, size_t *length, pm_error *error) {
  runner_list_u8_t chunk;
  posemesh_runner_types_error_t failed;
  if (!posemesh_runner_inputs_method_part_read_at(part_of(part), offset, max, &chunk, &failed)) {
    return refused(&failed, error);
  }
  *bytes = chunk.len > 0 ? chunk.ptr : NULL;
  *length = chunk.len;
  return true;
}

bool pm_host_materialise(pm_handle part, char **path, pm_error *error) {
  runner_string_t made;
  posemesh_runner_types_error_t failed;
  if (!posemesh_runner_inputs_method_part_materialise(part_of(part), &made, &failed)) return refused(&failed, error);
  *path = taken(&made);
  return true;
}

void pm_host_drop_part(pm_handle part) {
  posemesh_runner_inputs_part_drop_own((posemesh_runner_inputs_own_part_t){part});
}

static runner_option_string_t option(const char *text) {
  runner_option_string_t some = {text != NULL, {NULL, 0}};
  if (text != NULL) some.val = lent(text);
  return some;
}

bool pm_host_create(const char *path, const pm_options *options, pm_handle *artifact, pm_error *error) {
  runner_string_t to = lent(path);
  posemesh_runner_outputs_artifact_options_t given = {
      .name = option(options->name),
      .data_type = option(options->data_type),
      .existing_id = option(options->existing_id),
      .size_hint = {options->size_hint > 0, options->size_hint},
  };
  posemesh_runner_outputs_own_artifact_t made;
  posemesh_runner_types_error_t failed;
  if (!posemesh_runner_outputs_create(&to, &given, &made, &failed)) return refused(&failed, error);
  *artifact = made.__handle;
  return true;
}

static posemesh_runner_outputs_borrow_artifact_t artifact_of(pm_handle artifact) {
  return posemesh_runner_outputs_borrow_artifact((posemesh_runner_outputs_own_artifact_t){artifact});
}

bool pm_host_write(pm_handle artifact, const uint8_t *bytes, size_t length, pm_error *error) {
  runner_list_u8_t chunk = {(uint8_t *)bytes, length};
  posemesh_runner_types_error_t failed;
  return posemesh_runner_outputs_method_artifact_write(artifact_of(artifact), &chunk, &failed) ||
         refused(&failed, error);
}

bool pm_host_finish(pm_handle artifact, pm_error *error) {
  posemesh_runner_outputs_stored_artifact_t stored;
  posemesh_runner_types_error_t failed;
  if (!posemesh_runner_outputs_method_artifact_finish(artifact_of(artifact), &stored, &failed)) {
    return refused(&failed, error);
  }
  posemesh_runner_outputs_stored_artifact_free(&stored);
  return true;
}

void pm_host_drop_artifact(pm_handle artifact) {
  posemesh_runner_outputs_artifact_drop_own((posemesh_runner_outputs_own_artifact_t){artifact});
}

void pm_host_progress(const char *json) {
  runner_string_t text = lent(json);
  posemesh_runner_control_report_error_t failed;
  /* What is not taken is no reason to fail. */
  if (!posemesh_runner_control_progress(&text, &failed)) posemesh_runner_control_report_error_free(&failed);
}

bool pm_host_event(const char *json) {
  runner_string_t text = lent(json);
  posemesh_runner_control_report_error_t failed;
  if (posemesh_runner_control_log_event(&text, &failed)) return true;
  posemesh_runner_control_report_error_free(&failed);
  return false;
}

void pm_host_log(pm_level level, const char *message) {
  runner_string_t text = lent(message);
  posemesh_runner_control_log((posemesh_runner_control_log_level_t)level, &text);
}

bool pm_host_is_cancelled(void) {
  return posemesh_runner_control_is_cancelled();
}

bool pm_host_wait_cancelled(uint64_t timeout_ms) {
  return posemesh_runner_control_wait_cancelled(timeout_ms);
}

pm_budget pm_host_budget(void) {
  posemesh_runner_control_budget_t found;
  posemesh_runner_control_get_budget(&found);
  return (pm_budget){found.memory_bytes, found.scratch_bytes, found.output_bytes_left, found.time_left_ms};
}

/* What an export returns is freed by the bindings: copies. */

static runner_list_string_t copied_list(const char *const *texts, size_t max) {
  size_t count = 0;
  while (count < max && texts[count] != NULL) count++;
  runner_list_string_t list = {pm_alloc(count * sizeof(runner_string_t)), count};
  for (size_t i = 0; i < count; i++) list.ptr[i] = copied(texts[i]);
  return list;
}

static runner_option_string_t copied_option(const char *text) {
  runner_option_string_t some = {text != NULL, {NULL, 0}};
  if (text != NULL) some.val = copied(text);
  return some;
}

static runner_option_u64_t wanted(uint64_t value, uint64_t unit) {
  return (runner_option_u64_t){value > 0, value * unit};
}

#define COUNT(list) (sizeof(list) / sizeof *(list))
#define MIB (1024 * 1024)

void exports_posemesh_runner_entry_describe(posemesh_runner_types_description_t *ret) {
  const pm_runner *of = &the_runner;
  *ret = (posemesh_runner_types_description_t){
      .name = copied(of->name),
      .version = copied(of->version),
      .summary = copied(of->summary),
      .capabilities = copied_list(of->capabilities, COUNT(of->capabilities)),
      .requests =
          {
              .memory_bytes = wanted(of->memory_mib, MIB),
              .deadline_ms = wanted(of->deadline_secs, 1000),
              .cpu_time_ms = wanted(of->cpu_time_secs, 1000),
              .scratch_bytes = wanted(of->scratch_mib, MIB),
              .output_bytes = wanted(of->output_mib, MIB),
              .artifacts = wanted(of->artifacts, 1),
              .network_hosts = copied_list(of->network_hosts, COUNT(of->network_hosts)),
              .environment = copied_list(of->environment, COUNT(of->environment)),
              .directories = copied_list(of->directories, COUNT(of->directories)),
          },
      .meta_schema = copied_option(of->meta_schema),
      .homepage = copied_option(of->homepage),
      .license = copied_option(of->license),
  };
}

bool exports_posemesh_runner_entry_run(posemesh_runner_types_task_t *given, posemesh_runner_types_error_t *err) {
  const char **inputs = pm_alloc(given->inputs_cids.len * sizeof *inputs);
  for (size_t i = 0; i < given->inputs_cids.len; i++) inputs[i] = taken(&given->inputs_cids.ptr[i]);
  pm_task task = {
      .id = taken(&given->id),
      .job_id = taken_option(&given->job_id),
      .domain_id = taken_option(&given->domain_id),
      .capability = taken(&given->capability),
      .capability_filters = taken(&given->capability_filters),
      .outputs_prefix = taken_option(&given->outputs_prefix),
      .label = taken_option(&given->label),
      .stage = taken_option(&given->stage),
      .inputs = inputs,
      .input_count = given->inputs_cids.len,
  };
  if (pm_run(&the_runner, &task, taken(&given->meta))) return true;
  memset(err, 0, sizeof *err);
  err->tag = (uint8_t)task.error.kind;
  if (task.error.kind != PM_CANCELLED) err->val.failed = lent(task.error.reason);
  return false;
}

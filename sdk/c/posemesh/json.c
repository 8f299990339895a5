#include "json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posemesh.h"

/* Deeper JSON would need a deeper stack. */
#define MAX_DEPTH 64

typedef struct reader {
  const char *text;
  size_t length;
  size_t at;
  const char *problem;
} reader;

static bool read_value(reader *r, pm_json *value, int depth);

static bool wrong(reader *r, const char *problem) {
  r->problem = problem;
  return false;
}

static char peek(const reader *r) {
  return r->at < r->length ? r->text[r->at] : '\0';
}

static void skip_space(reader *r) {
  while (r->at < r->length && strchr(" \t\r\n", r->text[r->at]) != NULL && r->text[r->at] != '\0') r->at++;
}

static bool take(reader *r, const char *word) {
  size_t length = strlen(word);
  if (r->length - r->at < length || memcmp(r->text + r->at, word, length) != 0) return false;
  r->at += length;
  return true;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool read_hex(reader *r, uint32_t *code) {
  if (r->length - r->at < 4) return wrong(r, "four hexadecimal digits are expected");
  *code = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(r->text[r->at]);
    if (digit < 0) return wrong(r, "four hexadecimal digits are expected");
    *code = *code << 4 | (uint32_t)digit;
    r->at++;
  }
  return true;
}

static size_t put_utf8(char *to, uint32_t code) {
  if (code < 0x80) {
    to[0] = (char)code;
    return 1;
  }
  if (code < 0x800) {
    to[0] = (char)(0xC0 | code >> 6);
    to[1] = (char)(0x80 | (code & 0x3F));
    return 2;
  }
  if (code < 0x10000) {
    to[0] = (char)(0xE0 | code >> 12);
    to[1] = (char)(0x80 | (code >> 6 & 0x3F));
    to[2] = (char)(0x80 | (code & 0x3F));
    return 3;
  }
  to[0] = (char)(0xF0 | code >> 18);
  to[1] = (char)(0x80 | (code >> 12 & 0x3F));
  to[2] = (char)(0x80 | (code >> 6 & 0x3F));
  to[3] = (char)(0x80 | (code & 0x3F));
  return 4;
}

static bool read_escape(reader *r, char *to, size_t *length) {
  static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
  char c = peek(r);
  const char *simple = c == '\0' ? NULL : strchr(FROM, c);
  r->at++;
  if (simple != NULL) {
    to[(*length)++] = TO[simple - FROM];
    return true;
  }
  if (c != 'u') return wrong(r, "there is no such escape");
  uint32_t code, low;
  if (!read_hex(r, &code)) return false;
  if (code >= 0xD800 && code < 0xDC00) {
    if (!take(r, "\\u") || !read_hex(r, &low) || low < 0xDC00 || low > 0xDFFF) {
      return wrong(r, "half of a surrogate pair");
    }
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  } else if (code >= 0xDC00 && code < 0xE000) {
    return wrong(r, "half of a surrogate pair");
  }
  *length += put_utf8(to + *length, code);
  return true;
}

static bool read_text(reader *r, const char **text, size_t *length) {
  if (!take(r, "\"")) return wrong(r, "a text in quotation marks is expected");
  /* No escape is shorter than what it stands for. */
  size_t end = r->at;
  while (end < r->length && r->text[end] != '"') end += r->text[end] == '\\' ? 2 : 1;
  if (end >= r->length) return wrong(r, "a text does not end");
  char *to = pm_alloc(end - r->at + 1);
  size_t count = 0;
  while (r->at < end) {
    char c = r->text[r->at];
    if ((unsigned char)c < 0x20) return wrong(r, "a control character in a text");
    r->at++;
    if (c != '\\') {
      to[count++] = c;
    } else if (!read_escape(r, to, &count)) {
      return false;
    }
  }
  r->at++;
  to[count] = '\0';
  *text = to;
  *length = count;
  return true;
}

static bool read_number(reader *r, double *number) {
  const size_t from = r->at;
  if (peek(r) == '-') r->at++;
  const size_t digits = r->at;
  while (peek(r) >= '0' && peek(r) <= '9') r->at++;
  if (r->at == digits) return wrong(r, "a value is expected");
  if (r->text[digits] == '0' && r->at - digits > 1) return wrong(r, "a number begins with 0");
  if (peek(r) == '.') {
    const size_t fraction = ++r->at;
    while (peek(r) >= '0' && peek(r) <= '9') r->at++;
    if (r->at == fraction) return wrong(r, "a digit is expected");
  }
  if (peek(r) == 'e' || peek(r) == 'E') {
    r->at++;
    if (peek(r) == '+' || peek(r) == '-') r->at++;
    const size_t exponent = r->at;
    while (peek(r) >= '0' && peek(r) <= '9') r->at++;
    if (r->at == exponent) return wrong(r, "a digit is expected");
  }
  size_t length = r->at - from;
  char *copy = pm_alloc(length + 1);
  memcpy(copy, r->text + from, length);
  copy[length] = '\0';
  *number = strtod(copy, NULL);
  free(copy);
  return true;
}

static bool read_members(reader *r, pm_json *value, char end, int depth) {
  pm_json **last = &value->first;
  r->at++;
  skip_space(r);
  if (peek(r) == end) {
    r->at++;
    return true;
  }
  for (;;) {
    pm_json *member = pm_alloc(sizeof *member);
    memset(member, 0, sizeof *member);
    if (value->kind == PM_JSON_OBJECT) {
      size_t length;
      skip_space(r);
      if (!read_text(r, &member->key, &length)) return false;
      skip_space(r);
      if (!take(r, ":")) return wrong(r, "`:` is expected");
    }
    if (!read_value(r, member, depth + 1)) return false;
    *last = member;
    last = &member->next;
    skip_space(r);
    if (peek(r) == end) {
      r->at++;
      return true;
    }
    if (!take(r, ",")) return wrong(r, "`,` or the end of the list is expected");
  }
}

static bool read_value(reader *r, pm_json *value, int depth) {
  if (depth > MAX_DEPTH) return wrong(r, "the values are nested too deep");
  skip_space(r);
  switch (peek(r)) {
    case '{':
      value->kind = PM_JSON_OBJECT;
      return read_members(r, value, '}', depth);
    case '[':
      value->kind = PM_JSON_LIST;
      return read_members(r, value, ']', depth);
    case '"':
      value->kind = PM_JSON_TEXT;
      return read_text(r, &value->text, &value->length);
    default:
      break;
  }
  if (take(r, "null")) return true;
  value->truth = take(r, "true");
  value->kind = PM_JSON_BOOL;
  if (value->truth || take(r, "false")) return true;
  value->kind = PM_JSON_NUMBER;
  return read_number(r, &value->number);
}

const pm_json *pm_json_read(const char *text, size_t length, const char **problem, size_t *at) {
  reader r = {.text = text, .length = length};
  pm_json *value = pm_alloc(sizeof *value);
  memset(value, 0, sizeof *value);
  bool is_read = read_value(&r, value, 0);
  if (is_read) {
    skip_space(&r);
    if (r.at < length) is_read = wrong(&r, "something follows the value");
  }
  if (is_read) return value;
  *problem = r.problem;
  *at = r.at;
  return NULL;
}

const pm_json *pm_json_field(const pm_json *object, const char *key) {
  if (object == NULL || object->kind != PM_JSON_OBJECT) return NULL;
  const pm_json *found = NULL;
  /* Of a key that is there twice the last counts, as elsewhere. */
  for (const pm_json *field = object->first; field != NULL; field = field->next) {
    if (strcmp(field->key, key) == 0) found = field;
  }
  return found;
}

char *pm_json_quoted(const char *text) {
  char *quoted = pm_alloc(strlen(text) * 6 + 3);
  char *to = quoted;
  *to++ = '"';
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char)*text;
    if (c < 0x20) {
      to += sprintf(to, "\\u%04x", c);
    } else {
      if (c == '"' || c == '\\') *to++ = '\\';
      *to++ = (char)c;
    }
  }
  *to++ = '"';
  *to = '\0';
  return quoted;
}

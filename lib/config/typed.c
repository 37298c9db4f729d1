/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters by type: the accessors of config.h that convert, and the loader of areas.
 */
#include "config/typed.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "config/area.h"
#include "config/config_internal.h"
#include "config/value.h"

static bool
in_bounds(struct str name, int64_t v, int64_t min, int64_t max, struct err *err)
{
	if (v < min)
		return err_set(err, ERR_CONFIG,
			       "invalid " PRI_STR " parameter value %" PRId64
			       " < %" PRId64,
			       STR_ARG(name), v, min);
	if (max != 0 && v > max)
		return err_set(err, ERR_CONFIG,
			       "invalid " PRI_STR " parameter value %" PRId64
			       " > %" PRId64,
			       STR_ARG(name), v, max);
	return true;
}

bool
typed_bool(struct str name, struct str value, bool *out, struct err *err)
{
	return value_bool(value, out) ||
	       err_set(err, ERR_CONFIG,
		       "bad boolean configuration: " PRI_STR " = " PRI_STR, STR_ARG(name),
		       STR_ARG(value));
}

bool
typed_int(struct str name, struct str value, int64_t min, int64_t max, int64_t *out,
	  struct err *err)
{
	int64_t v;

	if (!value_int(value, &v))
		return err_set(err, ERR_CONFIG,
			       "bad numerical configuration: " PRI_STR " = " PRI_STR,
			       STR_ARG(name), STR_ARG(value));
	if (!in_bounds(name, v, min, max, err))
		return false;
	*out = v;
	return true;
}

bool
typed_time(struct str name, struct str value, char unit, int64_t min, int64_t max,
	   int64_t *out, struct err *err)
{
	int64_t v;

	if (!value_time(value, unit, &v))
		return err_set(err, ERR_CONFIG,
			       "parameter " PRI_STR ": bad time value or unit: " PRI_STR,
			       STR_ARG(name), STR_ARG(value));
	if (!in_bounds(name, v, min, max, err))
		return false;
	*out = v;
	return true;
}

bool
typed_str(struct str name, struct str value, int64_t min, int64_t max, struct err *err)
{
	bool low = (int64_t)value.len < min;

	if (!low && (max == 0 || (int64_t)value.len <= max))
		return true;
	return err_set(err, ERR_CONFIG,
		       "bad string length %zu %s %" PRId64 ": " PRI_STR " =%s" PRI_STR,
		       value.len, low ? "<" : ">", low ? min : max, STR_ARG(name),
		       value.len > 0 ? " " : "", STR_ARG(value));
}

bool
area_located(const struct config *cfg, struct str name, struct err *err)
{
	struct config_origin origin = config_origin(cfg, name);

	err->kind = ERR_CONFIG;
	if (origin.where == CONFIG_FROM_FILE)
		return err_prefix(err, "%s, line %u", origin.file, origin.line);
	if (origin.where == CONFIG_FROM_OVERRIDE)
		return err_prefix(err, "-o " PRI_STR, STR_ARG(name));
	return false;
}

/* The row of a name that has none: no bounds. */
static struct param
row_of(struct str name, enum param_type type)
{
	const struct param *row = param_find(name);

	if (row != NULL)
		return *row;
	return (struct param){.type = type, .min = INT64_MIN};
}

static char
unit_of(const struct param *row)
{
	char unit = param_unit(row->type);

	return unit == 0 ? 's' : unit;
}

bool
config_get_bool(const struct config *cfg, struct str name, bool *out, struct err *err)
{
	struct arena *mem = arena_new();
	struct str value;
	bool ok = config_get(mem, cfg, name, &value, err) &&
		  typed_bool(name, value, out, err);

	arena_free(&mem);
	return ok || area_located(cfg, name, err);
}

bool
config_get_int(const struct config *cfg, struct str name, int64_t *out, struct err *err)
{
	struct arena *mem = arena_new();
	struct param row = row_of(name, PARAM_LONG);
	struct str value;
	bool ok = config_get(mem, cfg, name, &value, err) &&
		  typed_int(name, value, row.min, row.max, out, err);

	arena_free(&mem);
	return ok || area_located(cfg, name, err);
}

bool
config_get_time(const struct config *cfg, struct str name, int64_t *out, struct err *err)
{
	struct arena *mem = arena_new();
	struct param row = row_of(name, PARAM_TIME_S);
	struct str value;
	bool ok = config_get(mem, cfg, name, &value, err) &&
		  typed_time(name, value, unit_of(&row), row.min, row.max, out, err);

	arena_free(&mem);
	return ok || area_located(cfg, name, err);
}

static bool
field_set(const struct param *row, struct str value, void *at, struct err *err)
{
	int64_t n;
	int small;

	switch (row->type) {
	case PARAM_BOOL:
		return typed_bool(param_name(row), value, at, err);
	case PARAM_INT:
		if (!typed_int(param_name(row), value,
			       MAX_OF(row->min, (int64_t)INT32_MIN),
			       row->max == 0 ? (int64_t)INT32_MAX : row->max, &n, err))
			return false;
		small = (int)n;
		memcpy(at, &small, sizeof(small));
		return true;
	case PARAM_LONG:
		if (!typed_int(param_name(row), value, row->min, row->max, &n, err))
			return false;
		memcpy(at, &n, sizeof(n));
		return true;
	case PARAM_TIME_S:
	case PARAM_TIME_M:
	case PARAM_TIME_H:
	case PARAM_TIME_D:
	case PARAM_TIME_W:
		if (!typed_time(param_name(row), value, param_unit(row->type), row->min,
				row->max, &n, err))
			return false;
		memcpy(at, &n, sizeof(n));
		return true;
	case PARAM_STR:
	case PARAM_RAW:
		if (!typed_str(param_name(row), value, row->min, row->max, err))
			return false;
		memcpy(at, &value, sizeof(value));
		return true;
	}
	return false;
}

static bool
field_load(struct arena *mem, const struct config *cfg, const struct param *row, void *at,
	   struct err *err)
{
	struct str value;

	if (row->type == PARAM_RAW)
		value = config_get_raw(cfg, param_name(row));
	else if (!config_get(mem, cfg, param_name(row), &value, err))
		return err_prefix(err, PRI_STR, STR_ARG(param_name(row)));
	return field_set(row, value, at, err);
}

bool
area_load(struct arena *mem, const struct config *cfg, const struct area_field *fields,
	  size_t count, void *out, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct param *row = param_find(str_from(fields[i].name));

		if (!field_load(mem, cfg, row, (char *)out + fields[i].offset, err))
			return area_located(cfg, param_name(row), err);
	}
	return true;
}

/* The words that LMTP has in place of SMTP's. */
static const struct {
	const char *smtp;
	const char *lmtp;
} lmtp_names[] = {
	{"smtp_helo_name", "lmtp_lhlo_name"},
	{"smtp_helo_timeout", "lmtp_lhlo_timeout"},
	{"smtp_discard_ehlo_keywords", "lmtp_discard_lhlo_keywords"},
	{"smtp_discard_ehlo_keyword_address_maps",
	 "lmtp_discard_lhlo_keyword_address_maps"},
};

static const struct param *
lmtp_row(struct arena *mem, const char *name)
{
	const struct param *row;
	struct str other = str_from(name);

	for (size_t i = 0; i < ARRAY_LEN(lmtp_names); i++) {
		if (strcmp(name, lmtp_names[i].smtp) == 0)
			return param_find(str_from(lmtp_names[i].lmtp));
	}
	if (!str_starts(other, STR("smtp_")))
		return param_find(other);
	row = param_find(str_concat(mem, STR("lmtp_"), str_skip(other, 5)));
	return row != NULL ? row : param_find(other);
}

bool
area_load_smtp(struct arena *mem, const struct config *cfg,
	       const struct area_field *fields, size_t count, void *out, struct err *err)
{
	if (!str_eq(cfg->process_name, STR("lmtp")))
		return area_load(mem, cfg, fields, count, out, err);
	for (size_t i = 0; i < count; i++) {
		struct param row = *lmtp_row(mem, fields[i].name);

		/* The field has the type of its own row, whatever the other says. */
		row.type = param_find(str_from(fields[i].name))->type;
		if (!field_load(mem, cfg, &row, (char *)out + fields[i].offset, err))
			return area_located(cfg, param_name(&row), err);
	}
	return true;
}

/* TRANSPORT_suffix and what it falls back to. initial_destination_concurrency has no
 * default_ in front of it. */
static const struct {
	const char *suffix;
	const char *fallback;
} derived[] = {
	{"_delivery_slot_cost", "$default_delivery_slot_cost"},
	{"_delivery_slot_loan", "$default_delivery_slot_loan"},
	{"_delivery_slot_discount", "$default_delivery_slot_discount"},
	{"_minimum_delivery_slots", "$default_minimum_delivery_slots"},
	{"_initial_destination_concurrency", "$initial_destination_concurrency"},
	{"_destination_concurrency_limit", "$default_destination_concurrency_limit"},
	{"_destination_concurrency_positive_feedback",
	 "$default_destination_concurrency_positive_feedback"},
	{"_destination_concurrency_negative_feedback",
	 "$default_destination_concurrency_negative_feedback"},
	{"_destination_concurrency_failed_cohort_limit",
	 "$default_destination_concurrency_failed_cohort_limit"},
	{"_destination_recipient_limit", "$default_destination_recipient_limit"},
	{"_destination_rate_delay", "$default_destination_rate_delay"},
	{"_transport_rate_delay", "$default_transport_rate_delay"},
	{"_extra_recipient_limit", "$default_extra_recipient_limit"},
	{"_recipient_limit", "$default_recipient_limit"},
	{"_recipient_refill_limit", "$default_recipient_refill_limit"},
	{"_recipient_refill_delay", "$default_recipient_refill_delay"},
	{"_time_limit", "$command_time_limit"},
};

struct str
config_transport_default(struct str name)
{
	struct str best = STR_EMPTY;
	size_t best_len = 0;

	/* The longest suffix: _destination_recipient_limit is not _recipient_limit. */
	for (size_t i = 0; i < ARRAY_LEN(derived); i++) {
		struct str suffix = str_from(derived[i].suffix);

		if (suffix.len > best_len && name.len > suffix.len &&
		    str_ends(name, suffix)) {
			best = str_from(derived[i].fallback);
			best_len = suffix.len;
		}
	}
	return best;
}

bool
config_transport_get(struct arena *mem, const struct config *cfg, struct str transport,
		     struct str suffix, struct str *out, struct err *err)
{
	struct str name =
		str_printf(mem, PRI_STR "_" PRI_STR, STR_ARG(transport), STR_ARG(suffix));

	return config_get(mem, cfg, name, out, err) || area_located(cfg, name, err);
}

bool
config_transport_int(const struct config *cfg, struct str transport, struct str suffix,
		     int64_t min, int64_t *out, struct err *err)
{
	struct arena *mem = arena_new();
	struct str name =
		str_printf(mem, PRI_STR "_" PRI_STR, STR_ARG(transport), STR_ARG(suffix));
	struct str value;
	bool ok = config_get(mem, cfg, name, &value, err) &&
		  typed_int(name, value, min, 0, out, err);

	if (!ok)
		area_located(cfg, name, err);
	arena_free(&mem);
	return ok;
}

bool
config_transport_time(const struct config *cfg, struct str transport, struct str suffix,
		      int64_t *out, struct err *err)
{
	struct arena *mem = arena_new();
	struct str name =
		str_printf(mem, PRI_STR "_" PRI_STR, STR_ARG(transport), STR_ARG(suffix));
	struct str value;
	bool ok = config_get(mem, cfg, name, &value, err) &&
		  typed_time(name, value, 's', 0, 0, out, err);

	if (!ok)
		area_located(cfg, name, err);
	arena_free(&mem);
	return ok;
}

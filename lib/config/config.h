/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * main.cf, as one frozen value: load, then ask. Never changes after config_load(); a
 * reload makes a second one in another arena.
 *
 * Text stays raw until asked for; then $name, ${name?{a}:{b}} and comparisons are
 * expanded (postconf(5)); names that main.cf does not set give their defaults from the
 * rows (param.h), or what is computed from the host (myhostname, mydomain, mynetworks).
 * Most code asks for nothing by name: an area (smtp_config.h ...) fills its struct once.
 *
 * Limits: file 1 MiB, 20,000 settings, nesting of expansion 100, expanded value 1 MiB.
 * Errors are worded as Postfix words them and name file and line where there is one.
 * Belongs to one thread: what is computed from the host is kept when first asked for.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct config;

/* One -o name=value. */
struct config_override {
	struct str name;
	struct str value;
};

struct config_options {
	const char *dir;          /* NULL: $MAIL_CONFIG, else the compiled-in directory */
	const char *process_name; /* "smtp": $process_name; NULL is empty */
	const char *service_name; /* name in master.cf, $service_name; NULL is empty */
	const struct config_override *overrides;
	size_t override_count;
	bool stress;        /* the service is under load: $stress is "yes" */
	bool defaults_only; /* do not read main.cf (postconf -d) */
};

/* Read DIR/main.cf. *out lives in mem. A missing or unreadable file is an error. In a
 * set-gid program of an ordinary user the directory must be one that
 * config_dir_authorized() accepts. */
bool config_load(struct arena *mem, const struct config_options *options,
		 struct config **out, struct err *err) MUST_CHECK;

/* Whether dir is default_dir or is named in alternate_config_directories or
 * multi_instance_directories of default_dir/main.cf. */
bool config_dir_authorized(struct arena *mem, const char *dir, const char *default_dir,
			   struct err *err) MUST_CHECK;

/* The expanded value, in mem; an unknown name is the empty text. Fails for bad $ syntax,
 * "unreasonable macro call nesting" and a value that grows too large. */
bool config_get(struct arena *mem, const struct config *cfg, struct str name,
		struct str *out, struct err *err) MUST_CHECK;

/* The value as written (or the default's text), not expanded; in the config's arena. */
struct str config_get_raw(const struct config *cfg, struct str name);

/* The default of a name, host-dependent ones computed; empty if there is none. */
struct str config_default(const struct config *cfg, struct str name);

/* Whether main.cf or -o set it. */
bool config_is_set(const struct config *cfg, struct str name);

/* Expand $name in any text, as in a parameter's value. */
bool config_expand(struct arena *mem, const struct config *cfg, struct str text,
		   struct str *out, struct err *err) MUST_CHECK;

/* By type, converted and checked against the row's bounds if name has a row. */
bool config_get_bool(const struct config *cfg, struct str name, bool *out,
		     struct err *err) MUST_CHECK;
bool config_get_int(const struct config *cfg, struct str name, int64_t *out,
		    struct err *err) MUST_CHECK;
/* Seconds. */
bool config_get_time(const struct config *cfg, struct str name, int64_t *out,
		     struct err *err) MUST_CHECK;

/* TRANSPORT_suffix, e.g. ("smtp", "destination_concurrency_limit"); where that is not set
 * the default of a row of its own (local_destination_recipient_limit), else
 * default_suffix (or the plain suffix: initial_destination_concurrency). */
bool config_transport_get(struct arena *mem, const struct config *cfg,
			  struct str transport, struct str suffix, struct str *out,
			  struct err *err) MUST_CHECK;
bool config_transport_int(const struct config *cfg, struct str transport,
			  struct str suffix, int64_t min, int64_t *out,
			  struct err *err) MUST_CHECK;
/* Seconds; a bare number is in seconds. */
bool config_transport_time(const struct config *cfg, struct str transport,
			   struct str suffix, int64_t *out, struct err *err) MUST_CHECK;

/* What a name that ends in such a suffix is when not set: "$default_..." or "". */
struct str config_transport_default(struct str name);

enum config_where {
	CONFIG_FROM_DEFAULT,
	CONFIG_FROM_FILE,     /* main.cf */
	CONFIG_FROM_OVERRIDE, /* -o */
	CONFIG_FROM_NOWHERE,  /* no such parameter */
};

struct config_origin {
	enum config_where where;
	const char *file; /* CONFIG_FROM_FILE: path of main.cf, else NULL */
	unsigned line;    /* of the setting's first line */
};

struct config_origin config_origin(const struct config *cfg, struct str name);

/* "main.cf line 12", "-o", "default": for explanations. In mem. */
struct str config_origin_text(struct arena *mem, struct config_origin origin);

/* The directory, and the path of main.cf. */
const char *config_dir(const struct config *cfg);
const char *config_file(const struct config *cfg);

/* What main.cf and -o set, in byte order of the names. */
struct config_setting {
	struct str name;
	struct str value; /* raw */
	struct config_origin origin;
};

size_t config_setting_count(const struct config *cfg);
const struct config_setting *config_setting_at(const struct config *cfg, size_t i);

/* Things to warn about that do not stop us, in the order of the file: complete texts
 * ("/etc/postfix/main.cf, line 3: overriding earlier entry: x=y"). */
size_t config_warning_count(const struct config *cfg);
struct str config_warning_at(const struct config *cfg, size_t i);

/* What a setting's name is to us. */
enum config_use {
	CONFIG_USE_ACTED,     /* we act on it, or it switches off what we do not do */
	CONFIG_USE_NOT_ACTED, /* Postfix 3.7 knows it, we do nothing with it yet */
	CONFIG_USE_NEWER,     /* only a newer Postfix knows it */
	CONFIG_USE_OLD,       /* an old name that still works */
	CONFIG_USE_DERIVED,   /* TRANSPORT_suffix with a known suffix */
	CONFIG_USE_USER,      /* the user's own, and some value refers to it */
	CONFIG_USE_UNKNOWN,   /* nobody refers to it: probably a typing error */
};

enum config_use config_use(const struct config *cfg, struct str name);

/* For CONFIG_USE_NOT_ACTED, _NEWER, _OLD and _UNKNOWN: one line for the administrator,
 * with a did-you-mean where there is one. False where there is nothing to say. In mem. */
bool config_use_text(struct arena *mem, const struct config *cfg,
		     const struct config_setting *setting, struct str *out);

/* Compatibility levels (3.6, 2, 3.6.1): -1, 0, 1 as a is lower, equal, higher; false if
 * one is malformed. */
bool config_level_compare(struct str a, struct str b, int *out) MUST_CHECK;
